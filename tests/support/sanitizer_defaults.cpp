// SPDX-License-Identifier: BSL-1.0
// Run-time settings of the sanitizers, compiled in so that a test behaves the same under CTest and by hand.

extern "C" {

const char* __asan_default_options();
const char* __asan_default_options()
{
    return "detect_leaks=1:detect_stack_use_after_return=1:check_initialization_order=1:strict_string_checks=1";
}

const char* __ubsan_default_options();
const char* __ubsan_default_options()
{
    return "print_stacktrace=1:halt_on_error=1";
}

const char* __tsan_default_options();
const char* __tsan_default_options()
{
    return "halt_on_error=1:second_deadlock_stack=1:history_size=4";
}

} // extern "C"

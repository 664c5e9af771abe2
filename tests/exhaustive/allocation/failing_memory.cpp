// SPDX-License-Identifier: BSL-1.0
#include "exhaustive/allocation/failing_memory.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <openssl/crypto.h>

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>

namespace khive_tests::memory {
namespace {

struct State {
    Plan plan;
    std::uint64_t counted = 0;
    std::uint64_t failed = 0;
    std::uint64_t excused = 0;
    bool armed = false;
    int aside = 0;
};

thread_local State state;

/// Allocations inside of other libraries, Asio 1.81 above all, whose failure nobody outside of them can survive, by the function
/// that makes them. They are let through when it is their turn, and counted.
struct Excuse {
    std::string_view function; ///< a part of its name
    std::string_view reason;
};
constexpr std::array excuses{
    Excuse{"::~awaitable_thread(", "a destructor that posts what is left of a coroutine: std::terminate"},
    Excuse{"::on_invoker_exit::~on_invoker_exit(", "a destructor that posts the rest of a strand's queue: std::terminate"},
    Excuse{"strand_executor_service::create_implementation(",
           "a strand without its mutex, whose destructor reads what was never set"},
    Excuse{"execute<boost::asio::detail::strand_executor_service::invoker<",
           "the strand has queued a function and cannot be scheduled: it stands still for ever"},
    Excuse{"co_spawn_entry_point",
           "the end of a coroutine cannot be told to the completion handler of co_spawn, which is lost"},
    Excuse{
        "async_result<boost::asio::use_awaitable_t<boost::asio::any_io_executor>, void ()>::initiate<boost::asio::detail::"
        "initiate_post>",
        "the same for a coroutine that has never waited"},
    Excuse{"::json_value::destroy(",
           "the destructor of nlohmann::json, which makes a list of what it destroys: std::terminate"},
};

bool is_khive(std::string_view mangled) noexcept
{
    for (const std::string_view start : {"_ZN5khive", "_ZNK5khive", "_ZZN5khive", "_ZZNK5khive"})
        if (mangled.starts_with(start)) return true;
    return mangled.starts_with("_ZTh") && mangled.find("N5khive") != std::string_view::npos;
}

enum class Verdict : unsigned char { none, khive, excused };

Verdict judge(const void* frame) noexcept
{
    Dl_info info;
    if (dladdr(frame, &info) == 0 || info.dli_sname == nullptr) return Verdict::none;
    if (is_khive(info.dli_sname)) return Verdict::khive;
    int status = 0;
    char* const name = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
    const std::string_view text = name != nullptr ? name : info.dli_sname;
    const bool found = std::ranges::any_of(
        excuses, [&](const Excuse& excuse) { return text.find(excuse.function) != std::string_view::npos; });
    std::free(name);
    return found ? Verdict::excused : Verdict::none;
}

/// From the inside out: of khive, which is to survive it, or of an excused function?
bool is_excused() noexcept
{
    static thread_local std::unordered_map<const void*, Verdict> known;
    std::array<void*, 48> frames;
    const int depth = backtrace(frames.data(), static_cast<int>(frames.size()));
    for (int i = 0; i < depth; ++i) {
        const void* const frame = frames[static_cast<std::size_t>(i)];
        const auto [at, is_new] = known.try_emplace(frame, Verdict::none);
        if (is_new) at->second = judge(frame);
        if (at->second != Verdict::none) return at->second == Verdict::excused;
    }
    return false;
}

/// Says where the memory failed, for who looks for the reason of a crash.
void tell() noexcept
{
    static const bool wanted = std::getenv("KHIVE_TELL_FAILURES") != nullptr;
    if (!wanted) return;
    std::array<void*, 64> frames;
    std::fprintf(stderr, "--- allocation %llu fails\n", static_cast<unsigned long long>(state.counted));
    backtrace_symbols_fd(frames.data(), backtrace(frames.data(), static_cast<int>(frames.size())), 2);
}

/// Counts an allocation; must it fail?
bool fails(bool openssl = false) noexcept
{
    if (!state.armed || state.aside != 0 || openssl != state.plan.openssl) return false;
    ++state.counted;
    const bool due = state.counted == state.plan.first || (state.plan.later_too && state.counted > state.plan.first);
    if (!due) return false;
    const Aside aside;
    if (is_excused()) {
        ++state.excused;
        return false;
    }
    ++state.failed;
    tell();
    return true;
}

void* allocate(std::size_t size) noexcept
{
    return fails() ? nullptr : std::malloc(size != 0 ? size : 1);
}

} // namespace

void arm(const Plan& plan) noexcept
{
    void* frame = nullptr;
    (void)backtrace(&frame, 1); // loads what it needs, the first time
    state = State{plan, 0, 0, 0, true, 0};
}
void disarm() noexcept
{
    state.armed = false;
}
std::uint64_t counted() noexcept
{
    return state.counted;
}
std::uint64_t failed() noexcept
{
    return state.failed;
}
std::uint64_t excused() noexcept
{
    return state.excused;
}
void charge()
{
    if (fails()) throw std::bad_alloc();
}

Aside::Aside() noexcept : before_(std::exchange(state.aside, 1)) {}
Aside::~Aside()
{
    state.aside = before_;
}
Inside::Inside() noexcept : before_(std::exchange(state.aside, 0)) {}
Inside::~Inside()
{
    state.aside = before_;
}

namespace {

// OpenSSL takes its memory here, from before its first use on.
const bool openssl_asks_here =
    CRYPTO_set_mem_functions(
        [](std::size_t size, const char*, int) -> void* { return size == 0 || fails(true) ? nullptr : std::malloc(size); },
        [](void* memory, std::size_t size, const char*, int) -> void* {
            if (size != 0) return fails(true) ? nullptr : std::realloc(memory, size);
            std::free(memory);
            return nullptr;
        },
        [](void* memory, const char*, int) { std::free(memory); }) == 1;

void* allocate_aligned(std::size_t size, std::align_val_t alignment) noexcept
{
    if (fails()) return nullptr;
    const auto unit = static_cast<std::size_t>(alignment);
    void* memory = nullptr;
    return posix_memalign(&memory, unit < sizeof(void*) ? sizeof(void*) : unit, size != 0 ? size : 1) == 0 ? memory
                                                                                                           : nullptr;
}

void* or_throw(void* memory)
{
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

} // namespace

bool serves_openssl() noexcept
{
    return openssl_asks_here;
}

} // namespace khive_tests::memory

using khive_tests::memory::allocate;
using khive_tests::memory::allocate_aligned;
using khive_tests::memory::or_throw;

// The linker puts it in the place of `aligned_alloc`.
extern "C" void* __real_aligned_alloc(std::size_t alignment, std::size_t size);
extern "C" void* __wrap_aligned_alloc(std::size_t alignment, std::size_t size);
extern "C" void* __wrap_aligned_alloc(std::size_t alignment, std::size_t size)
{
    return khive_tests::memory::fails() ? nullptr : __real_aligned_alloc(alignment, size);
}

void* operator new(std::size_t size)
{
    return or_throw(allocate(size));
}
void* operator new[](std::size_t size)
{
    return or_throw(allocate(size));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept
{
    return allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept
{
    return allocate(size);
}
void* operator new(std::size_t size, std::align_val_t alignment)
{
    return or_throw(allocate_aligned(size, alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment)
{
    return or_throw(allocate_aligned(size, alignment));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept
{
    return allocate_aligned(size, alignment);
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept
{
    return allocate_aligned(size, alignment);
}
void operator delete(void* memory) noexcept
{
    std::free(memory);
}
void operator delete[](void* memory) noexcept
{
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept
{
    std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept
{
    std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept
{
    std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept
{
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept
{
    std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept
{
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept
{
    std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept
{
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept
{
    std::free(memory);
}
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept
{
    std::free(memory);
}

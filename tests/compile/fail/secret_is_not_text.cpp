// SPDX-License-Identifier: BSL-1.0
// A secret turns into text only where `reveal()` says so.
// expect: could not convert || no viable conversion
#include <khive/core/secret.hpp>

std::string leak(const khive::Secret& secret)
{
    return secret;
}

// SPDX-License-Identifier: BSL-1.0
#pragma once

/// KHIVE_ADDRESS_SANITIZER and KHIVE_THREAD_SANITIZER are 1 in a program built with that sanitizer of GCC or Clang, else 0.
#if defined(__has_feature) // Clang
#if __has_feature(address_sanitizer)
#define KHIVE_ADDRESS_SANITIZER 1
#endif
#if __has_feature(thread_sanitizer)
#define KHIVE_THREAD_SANITIZER 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__) && !defined(KHIVE_ADDRESS_SANITIZER)
#define KHIVE_ADDRESS_SANITIZER 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(KHIVE_THREAD_SANITIZER)
#define KHIVE_THREAD_SANITIZER 1
#endif

#if !defined(KHIVE_ADDRESS_SANITIZER)
#define KHIVE_ADDRESS_SANITIZER 0
#endif
#if !defined(KHIVE_THREAD_SANITIZER)
#define KHIVE_THREAD_SANITIZER 0
#endif

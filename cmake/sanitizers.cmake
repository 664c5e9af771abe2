# SPDX-License-Identifier: BSL-1.0
# The sanitizers of KHIVE_SANITIZE, for tests, examples and the compiled library they link; never installed.

add_library(khive_sanitizers INTERFACE)
if(KHIVE_SANITIZE)
  target_compile_options(khive_sanitizers INTERFACE
    -fsanitize=${KHIVE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  # These make GCC's code twice as large, and half again as slow to compile. AddressSanitizer finds null by itself, and Clang,
  # whose code suffers less, checks them all.
  target_compile_options(khive_sanitizers INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:-fno-sanitize=null,alignment,object-size,pointer-overflow>)
  target_link_options(khive_sanitizers INTERFACE -fsanitize=${KHIVE_SANITIZE})
endif()

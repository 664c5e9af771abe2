# SPDX-License-Identifier: BSL-1.0
# The sanitizers of KHIVE_SANITIZE, for tests, examples and the compiled library they link; never installed.

add_library(khive_sanitizers INTERFACE)
if(KHIVE_SANITIZE)
  target_compile_options(khive_sanitizers INTERFACE
    -fsanitize=${KHIVE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(khive_sanitizers INTERFACE -fsanitize=${KHIVE_SANITIZE})
endif()

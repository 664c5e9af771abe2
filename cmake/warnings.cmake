# SPDX-License-Identifier: BSL-1.0
# Warnings for khive's own code; never passed on to those who link it.

add_library(khive_warnings INTERFACE)
if(MSVC)
  target_compile_options(khive_warnings INTERFACE /W4 /permissive- $<$<BOOL:${KHIVE_WERROR}>:/WX>)
else()
  target_compile_options(khive_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    $<$<BOOL:${KHIVE_WERROR}>:-Werror>)
endif()

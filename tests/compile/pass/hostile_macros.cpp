// SPDX-License-Identifier: BSL-1.0
// Names that system headers such as windows.h define as macros are none of ours.
#define DELETE (0x00010000L)
#define ERROR 0
#define NO_ERROR 0L
#define CONST const
#define IN
#define OUT
#define OPTIONAL
#define STRICT 1
#include <khive/khive.hpp>

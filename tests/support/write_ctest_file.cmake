# SPDX-License-Identifier: BSL-1.0
# Run by khive_discover_tests: asks a Catch2 executable for its test cases and writes CTEST_FILE.

cmake_minimum_required(VERSION 3.25)

# Catch2 2 returns the number of tests, so only a crash is an error.
execute_process(COMMAND ${EXECUTABLE} ${LIST_TESTS} OUTPUT_VARIABLE titles RESULT_VARIABLE result)
if(result MATCHES "[^0-9]" OR titles STREQUAL "")
  file(REMOVE ${CTEST_FILE})
  message(FATAL_ERROR "${EXECUTABLE} cannot list its tests: ${result}\n${titles}")
endif()

# CMake's lists know neither `;` nor `[` as text, so both travel in disguise.
string(ASCII 1 semicolon)
string(ASCII 2 open)
string(ASCII 3 close)
string(REPLACE ";" "${semicolon}" titles "${titles}")
string(REPLACE "[" "${open}" titles "${titles}")
string(REPLACE "]" "${close}" titles "${titles}")
string(REPLACE "\n" ";" titles "${titles}")

string(REPLACE ";" " " run_flags "${RUN_FLAGS}")
set(tests)
foreach(title IN LISTS titles)
  string(STRIP "${title}" title)
  if(title STREQUAL "")
    continue()
  endif()
  # In a test specification a backslash takes the meaning from what follows.
  string(REGEX REPLACE "[\\,\"${open}${close}]" "\\\\\\0" specification "${title}")
  string(APPEND tests
    "add_test([==[${PREFIX}${title}]==] [==[${EXECUTABLE}]==] [==[${specification}]==] ${run_flags})\n"
    "set_tests_properties([==[${PREFIX}${title}]==] PROPERTIES WORKING_DIRECTORY [==[${WORKING_DIRECTORY}]==]"
    " LABELS ${LABEL} TIMEOUT ${TIMEOUT})\n")
endforeach()

string(REPLACE "${semicolon}" ";" tests "${tests}")
string(REPLACE "${open}" "[" tests "${tests}")
string(REPLACE "${close}" "]" tests "${tests}")
file(WRITE ${CTEST_FILE} "${tests}")

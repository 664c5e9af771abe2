# SPDX-License-Identifier: BSL-1.0
# Catch2's own discovery stumbles over semicolons and single brackets in titles, and titles here are sentences.

set(khive_write_ctest_file ${CMAKE_CURRENT_LIST_DIR}/write_ctest_file.cmake)

# khive_discover_tests(target label): after each build, one CTest case per test case of a Catch2 executable.
function(khive_discover_tests target label)
  set(timeout ${KHIVE_TEST_TIMEOUT})
  if(label STREQUAL "exhaustive") # a case goes through every step of many kinds of call
    math(EXPR timeout "3 * ${timeout}")
  endif()
  set(ctest_file ${CMAKE_CURRENT_BINARY_DIR}/${target}_tests.cmake)
  set(list_tests --list-tests --verbosity quiet)
  set(run_flags)
  if(Catch2_VERSION VERSION_LESS 3)
    set(list_tests --list-test-names-only)
    set(run_flags --warn NoTests)
  endif()
  add_custom_command(TARGET ${target} POST_BUILD
    BYPRODUCTS ${ctest_file}
    COMMAND ${CMAKE_COMMAND}
      "-DEXECUTABLE=$<TARGET_FILE:${target}>" "-DPREFIX=${target}/" "-DLIST_TESTS=${list_tests}" "-DRUN_FLAGS=${run_flags}"
      "-DWORKING_DIRECTORY=${PROJECT_SOURCE_DIR}" "-DLABEL=${label}" "-DTIMEOUT=${timeout}"
      "-DCTEST_FILE=${ctest_file}" -P ${khive_write_ctest_file}
    VERBATIM)

  set(include_file ${CMAKE_CURRENT_BINARY_DIR}/${target}_include.cmake)
  file(WRITE ${include_file} "include(\"${ctest_file}\" OPTIONAL RESULT_VARIABLE built)\n"
    "if(NOT built)\n  add_test(${target}_NOT_BUILT ${target}_NOT_BUILT)\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${include_file})
endfunction()

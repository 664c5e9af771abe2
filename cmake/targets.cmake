# SPDX-License-Identifier: BSL-1.0
# khive::khive (header-only), khive::testing (header-only, for tests) and khive::compiled (the same headers with the
# bodies of non-templates compiled once).

set(khive_include_dir ${PROJECT_SOURCE_DIR}/include)
file(GLOB_RECURSE khive_headers CONFIGURE_DEPENDS ${khive_include_dir}/khive/*.hpp ${khive_include_dir}/khive/*.ipp)
set(khive_testing_headers ${khive_headers})
list(FILTER khive_headers EXCLUDE REGEX "/khive/testing/")
list(FILTER khive_testing_headers INCLUDE REGEX "/khive/testing/")

# An installed Boost has one target for its headers; Boost as a folder of the same build has one per library.
set(khive_boost Boost::headers)
if(NOT TARGET Boost::headers)
  set(khive_boost Boost::asio Boost::beast Boost::system)
endif()

add_library(khive INTERFACE)
add_library(khive::khive ALIAS khive)
target_sources(khive INTERFACE FILE_SET HEADERS BASE_DIRS ${khive_include_dir} FILES ${khive_headers})
target_compile_features(khive INTERFACE cxx_std_20)
target_link_libraries(khive INTERFACE
  ${khive_boost} Boost::url
  OpenSSL::SSL OpenSSL::Crypto
  Threads::Threads
  nlohmann_json::nlohmann_json
  spdlog::spdlog)

add_library(khive_testing INTERFACE)
add_library(khive::testing ALIAS khive_testing)
set_target_properties(khive_testing PROPERTIES EXPORT_NAME testing)
target_sources(khive_testing INTERFACE FILE_SET HEADERS BASE_DIRS ${khive_include_dir} FILES ${khive_testing_headers})
target_link_libraries(khive_testing INTERFACE khive)

# Costs nothing where it is neither linked nor installed.
add_library(khive_compiled STATIC ${PROJECT_SOURCE_DIR}/cmake/compiled.cpp)
add_library(khive::compiled ALIAS khive_compiled)
set_target_properties(khive_compiled PROPERTIES
  EXPORT_NAME compiled
  OUTPUT_NAME khive
  POSITION_INDEPENDENT_CODE ON)
if(NOT KHIVE_COMPILED)
  set_target_properties(khive_compiled PROPERTIES EXCLUDE_FROM_ALL ON)
endif()
target_compile_definitions(khive_compiled PUBLIC KHIVE_SEPARATE_COMPILATION)
target_link_libraries(khive_compiled
  PUBLIC khive
  PRIVATE $<BUILD_INTERFACE:khive_warnings> $<BUILD_INTERFACE:khive_sanitizers>)

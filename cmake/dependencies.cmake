# SPDX-License-Identifier: BSL-1.0
# What khive stands on. A target that the surrounding project has already made is taken as it is. The list is the same in
# khiveConfig.cmake.in.

macro(khive_require target)
  if(NOT TARGET ${target})
    find_package(${ARGN})
  endif()
endmacro()

khive_require(Boost::url Boost 1.81 CONFIG REQUIRED COMPONENTS headers url)
khive_require(OpenSSL::SSL OpenSSL 3.0 REQUIRED)
khive_require(Threads::Threads Threads REQUIRED)
khive_require(nlohmann_json::nlohmann_json nlohmann_json 3.10 CONFIG REQUIRED)
khive_require(spdlog::spdlog spdlog 1.9 CONFIG REQUIRED)

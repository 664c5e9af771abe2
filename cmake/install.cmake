# SPDX-License-Identifier: BSL-1.0
# Headers, CMake package and pkg-config file. Without khive::compiled nothing depends on the architecture, so the package then
# goes to share/ and its version file says so.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(KHIVE_COMPILED)
  set(khive_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/khive)
  set(khive_pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  set(khive_arch_independent)
else()
  set(khive_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/khive)
  set(khive_pkgconfig_dir ${CMAKE_INSTALL_DATADIR}/pkgconfig)
  set(khive_arch_independent ARCH_INDEPENDENT)
endif()

install(TARGETS khive khive_testing EXPORT khiveTargets FILE_SET HEADERS)
install(EXPORT khiveTargets NAMESPACE khive:: DESTINATION ${khive_package_dir})
if(KHIVE_COMPILED)
  install(TARGETS khive_compiled EXPORT khiveCompiledTargets)
  install(EXPORT khiveCompiledTargets NAMESPACE khive:: DESTINATION ${khive_package_dir})
endif()

configure_package_config_file(cmake/khiveConfig.cmake.in khiveConfig.cmake
  INSTALL_DESTINATION ${khive_package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(khiveConfigVersion.cmake COMPATIBILITY SameMinorVersion ${khive_arch_independent})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/khiveConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/khiveConfigVersion.cmake
  DESTINATION ${khive_package_dir})

# The file finds its prefix from where it lies, so the tree may be moved.
file(RELATIVE_PATH khive_pc_prefix "/${khive_pkgconfig_dir}" "/")
configure_file(cmake/khive.pc.in khive.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/khive.pc DESTINATION ${khive_pkgconfig_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

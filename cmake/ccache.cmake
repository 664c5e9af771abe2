# SPDX-License-Identifier: BSL-1.0
# Takes ccache for khive's own builds where it is installed. The settings let it see through precompiled headers, share results
# between clones in different folders, and learn what a file includes from the compiler instead of a preprocessor run of its own.

find_program(KHIVE_CCACHE ccache)
if(KHIVE_CCACHE AND PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
    CCACHE_NOHASHDIR=1
    CCACHE_DEPEND=1
    ${KHIVE_CCACHE})
endif()

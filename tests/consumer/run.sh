#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Installs khive into a temporary prefix, moves that away from where it was installed, and builds and runs the small projects
# beside this script in every way khive can be consumed. Ends with `N passed, N failed`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/cmake/count.sh"

"$root/cmake/install-debian-packages.sh" build

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/moved
command -v ccache >/dev/null && export CMAKE_CXX_COMPILER_LAUNCHER=ccache

install_and_move() {
  cmake -S "$root" -B "$work/khive" -G Ninja -DCMAKE_INSTALL_PREFIX="$work/installed" -DKHIVE_TESTS=OFF -DKHIVE_EXAMPLES=OFF "$@" &&
    cmake --build "$work/khive" &&
    cmake --install "$work/khive" >/dev/null &&
    rm -rf "$prefix" && mv "$work/installed" "$prefix" &&
    rm -rf "$work/khive" &&
    ! grep -rn "$work" "$prefix"
}

# consumer folder arguments...: configures the project, builds it and runs its tests.
consumer() {
  local build
  build=$(mktemp -d "$work/$1.XXXX")
  cmake -S "$here/$1" -B "$build" -G Ninja "${@:2}" &&
    cmake --build "$build" &&
    ctest --test-dir "$build" --output-on-failure --no-tests=error
}

pkg_config() {
  local -x PKG_CONFIG_PATH
  PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name khive.pc)")
  read -ra flags <<<"$(pkg-config --cflags khive)"
  read -ra libraries <<<"$(pkg-config --libs khive)"
  g++ -std=c++20 "${flags[@]}" "$here/main.cpp" -o "$work/pkg_config" "${libraries[@]}" && "$work/pkg_config"
}

installs_nothing_as_a_subproject() {
  cmake -S "$here/add_subdirectory" -B "$work/hygiene" -G Ninja -DKHIVE_SOURCE="$root" -DCMAKE_INSTALL_PREFIX="$work/empty" &&
    cmake -P "$work/hygiene/cmake_install.cmake" &&
    [ -z "$(find "$work/empty" -type f 2>/dev/null)" ]
}

is_arch_independent_without_compiled() {
  install_and_move -DKHIVE_COMPILED=OFF &&
    [ -e "$prefix/share/cmake/khive/khiveConfig.cmake" ] &&
    [ -z "$(find "$prefix" -name '*.a')" ]
}

check() {
  echo "== consumer: $1"
  if "${@:2}"; then
    passed=$((passed + 1))
  else
    count_failure "consumer: $1"
  fi
}

check "installs, and names no path of this machine" install_and_move
check "find_package, after the tree was moved" consumer find_package -DCMAKE_PREFIX_PATH="$prefix"
check "two translation units and a shared library" consumer two_units -DCMAKE_PREFIX_PATH="$prefix"
check "pkg-config and plain g++" pkg_config
check "add_subdirectory" consumer add_subdirectory -DKHIVE_SOURCE="$root"
check "add_subdirectory installs nothing" installs_nothing_as_a_subproject
check "FetchContent from the sources" consumer fetch_content -DFETCHCONTENT_SOURCE_DIR_KHIVE="$root"
check "FetchContent with an installed khive" consumer fetch_content -DCMAKE_PREFIX_PATH="$prefix" -DKHIVE_ARCHIVE=unused.tar.gz
check "header-only install, independent of the architecture" is_arch_independent_without_compiled

finish_count

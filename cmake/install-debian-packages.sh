#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Installs the Debian packages that are missing for the named groups: build, tests, examples, clang, coverage, benchmark,
# compile_time, race, debian13.
# Does nothing, and needs no right to, where all are there or where the system is not Debian's.
set -euo pipefail

boost_packages() {
  case "$(. /etc/os-release && echo "${VERSION_ID:-}")" in
    12) echo libboost1.81-dev libboost-url1.81-dev ;;
    *) echo libboost-dev libboost-url-dev ;;
  esac
}

packages_of() {
  case "$1" in
    build) echo g++ cmake ninja-build ccache pkg-config git ca-certificates libssl-dev nlohmann-json3-dev libspdlog-dev "$(boost_packages)" ;;
    tests) echo catch2 nginx-light openssl python3 ;;
    examples) echo libcli11-dev ;;
    clang) echo clang-19 libclang-rt-19-dev llvm-19 ;;
    coverage) echo jq binutils ;;
    benchmark) echo libbenchmark-dev valgrind strace openssl python3 ;;
    compile_time) echo libcurl4-openssl-dev libcpp-httplib-dev ;;
    race)
      echo golang-go default-jdk-headless python3-aiohttp python3-httpx libcurl4-openssl-dev libcpp-httplib-dev linux-perf
      command -v npm >/dev/null || echo nodejs npm ;; # others than Debian ship npm with their nodejs
    debian13) echo debootstrap debian-archive-keyring ;;
    *) echo "unknown group: $1" >&2; return 1 ;;
  esac
}

is_installed() {
  [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Our nginx runs from the tests only: Debian's own instance is kept from starting when the package arrives.
without_starting_services() {
  local policy=/usr/sbin/policy-rc.d status=0
  if [ -e "$policy" ]; then "$@"; return; fi
  printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$policy"
  "$@" || status=$?
  as_root rm -f "$policy"
  return "$status"
}

command -v dpkg-query >/dev/null || { echo "not a Debian system: see cmake/dependencies.cmake for what khive needs" >&2; exit 0; }

missing=()
for group in "$@"; do
  for package in $(packages_of "$group"); do
    is_installed "$package" || missing+=("$package")
  done
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "installing: ${missing[*]}"
as_root apt-get update -qq
# --no-remove: another Boost version in the way is for the owner of the machine to decide on.
without_starting_services as_root env DEBIAN_FRONTEND=noninteractive \
  apt-get install --yes --quiet --no-install-recommends --no-remove "${missing[@]}" </dev/null

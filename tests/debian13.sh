#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Builds and runs the tests with Debian 13's packages (GCC 14, Boost 1.83, Catch2 3) in a Debian 13 tree that this script makes
# with debootstrap and keeps, ccache's results in it, in $KHIVE_DEBIAN13, by default /var/cache/khive/debian13. Needs root, or
# sudo, for chroot. Ends with `N passed, N failed`.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tree=${KHIVE_DEBIAN13:-/var/cache/khive/debian13}
release=trixie

[ "$(id -u)" = 0 ] || exec sudo --preserve-env=http_proxy,https_proxy KHIVE_DEBIAN13="$tree" "$0" "$@"

# The mirror this machine itself takes Debian from.
mirror() {
  local found
  found=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk -v own="$(. /etc/os-release && echo "$VERSION_CODENAME")" '$1 == own { print $2; exit }')
  echo "${found:-http://deb.debian.org/debian}"
}

apt_proxy() {
  local proxy=""
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  echo "$proxy"
}

make_tree() {
  "$root/cmake/install-debian-packages.sh" debian13
  local proxy
  proxy=$(apt_proxy)
  [ -z "$proxy" ] || export http_proxy="$proxy"
  rm -rf "$tree.new"
  mkdir -p "$tree.new"
  debootstrap --variant=minbase --include=ca-certificates "$release" "$tree.new" "$(mirror)"
  mkdir -p "$tree.new/src" "$tree.new/build"
  [ -z "$proxy" ] || echo "Acquire::http::Proxy \"$proxy\";" >"$tree.new/etc/apt/apt.conf.d/90proxy"
  rm -rf "$tree"
  mv "$tree.new" "$tree"
}

# Runs in a mount namespace of its own, so nothing stays mounted however it ends.
enter_tree() {
  mount --rbind /dev "$tree/dev"
  mount -t proc proc "$tree/proc"
  mount --bind -o ro "$root" "$tree/src"
  mount -t tmpfs tmpfs "$tree/tmp"
  cp /etc/resolv.conf /etc/hosts "$tree/etc/"
  exec chroot "$tree" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 CI="${CI:-}" \
    http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" /src/tests/debian13.sh --inside
}

run_inside() {
  . "$root/cmake/count.sh"
  "$root/cmake/install-debian-packages.sh" build tests examples
  rm -rf /build/khive
  if cmake -S "$root" -B /build/khive -G Ninja -DCMAKE_CXX_COMPILER=g++-14 -DCMAKE_CXX_FLAGS=-O0 \
       -DKHIVE_TESTS_STANDARD=23 -DKHIVE_TESTS_BATCH=16 -DKHIVE_TESTS_STRESS=OFF && cmake --build /build/khive; then
    run_and_count ctest --test-dir /build/khive --output-on-failure --no-tests=error --parallel "$(nproc)"
  else
    count_failure "does not build on Debian 13"
  fi
  finish_count
}

case "${1:-}" in
  "")
    mkdir -p "$tree"
    exec 9>"$tree.lock"
    flock 9
    [ -x "$tree/usr/bin/apt-get" ] || make_tree
    exec unshare --mount --propagation private "$0" --enter
    ;;
  --enter) enter_tree ;;
  --inside) run_inside ;;
  *) echo "usage: $0" >&2; exit 2 ;;
esac

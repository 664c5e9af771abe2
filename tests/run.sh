#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Installs what is missing, builds the tests and runs them through CTest, three times: GCC 12 and Clang 19 with AddressSanitizer
# and UndefinedBehaviorSanitizer, Clang 19 with ThreadSanitizer. Ends with `N passed, N failed`.
#
#   tests/run.sh                  everything
#   tests/run.sh --quick          GCC 12 with AddressSanitizer and UndefinedBehaviorSanitizer only
#   tests/run.sh preset...        these presets of CMakePresets.json only
set -euo pipefail
cd "$(dirname "$0")/.."
. cmake/count.sh

presets=("$@")
case "${1:-}" in
  "") presets=(gcc-asan clang-asan clang-tsan) ;;
  --quick) presets=(gcc-asan) ;;
  --help | -h) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac

groups=(build tests examples)
[[ "${presets[*]}" == *clang* ]] && groups+=(clang)
cmake/install-debian-packages.sh "${groups[@]}"

for preset in "${presets[@]}"; do
  echo "== $preset"
  started=$SECONDS
  if cmake --preset "$preset" && cmake --build --preset "$preset"; then
    run_and_count ctest --preset "$preset" --parallel "$(nproc)"
  else
    count_failure "$preset does not build"
  fi
  echo "== $preset took $((SECONDS - started)) s"
done

finish_count

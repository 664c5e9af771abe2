#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Which lines and branches of include/ the tests reach, and whether that is enough: at least 95 % of the lines and 85 % of the
# branches that the source has (Clang counts those; what compilers add for exceptions and coroutines is none of them). Prints the
# files with the most branches that no test takes, writes build/coverage/html, and ends with `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/.."
. cmake/count.sh

cmake/install-debian-packages.sh build tests clang coverage
cmake --preset coverage
cmake --build --preset coverage

out=$PWD/build/coverage
rm -rf "$out/profiles" "$out/html"
mkdir "$out/profiles"
LLVM_PROFILE_FILE="$out/profiles/%8m.profraw" \
  ctest --test-dir "$out" --parallel "$(nproc)" --label-exclude compile --output-on-failure || count_failure "the tests"

llvm-profdata-19 merge --sparse "$out"/profiles/*.profraw --output "$out/tests.profdata"
objects=()
while read -r program; do objects+=(--object "$program"); done < <(
  find "$out/tests" -type f -perm -u+x -exec sh -c 'readelf --sections "$1" 2>/dev/null | grep -q __llvm_covmap' _ {} \; -print)
cov() { llvm-cov-19 "$@" --instr-profile "$out/tests.profdata" "${objects[@]:1}" "$PWD/include/khive"; }

cov show --format html --output-dir "$out/html" --show-branches count --show-instantiations=false
cov export --summary-only >"$out/summary.json"
if jq --raw-output --exit-status --arg root "$PWD/" '
    .data[0] | (.files | map({name: (.filename | ltrimstr($root)), left: .summary.branches.notcovered, branches: .summary.branches.percent,
                              lines: .summary.lines.percent}) | sort_by(-.left) | .[:25][] |
      "\(.left) branches not taken, \(.branches | floor) %; lines \(.lines | floor) %: \(.name)"),
    "lines \(.totals.lines.percent * 10 | floor / 10) %, branches \(.totals.branches.percent * 10 | floor / 10) %",
    (.totals.lines.percent >= 95 and .totals.branches.percent >= 85)' "$out/summary.json"; then
  passed=$((passed + 1))
else
  count_failure "coverage"
fi
finish_count

#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Which lines and branches of include/ the tests reach, by file and in all, and whether that is enough: at least 95 % of lines and
# 85 % of branches, those of exceptions that the compiler adds left out. Prints the least covered files, writes
# build/coverage/index.html, and ends with `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/.."
. cmake/count.sh

cmake/install-debian-packages.sh build tests coverage
cmake --preset coverage
cmake --build --preset coverage
find build/coverage -name '*.gcda' -delete
ctest --test-dir build/coverage --parallel "$(nproc)" --label-exclude compile --output-on-failure || count_failure "the tests"

if gcovr --root . --filter 'include/khive/' --object-directory build/coverage --exclude-throw-branches --exclude-unreachable-branches \
  --gcov-ignore-parse-errors --fail-under-line 95 --fail-under-branch 85 --sort-percentage --print-summary \
  --html-details build/coverage/index.html --txt build/coverage/lines.txt -j "$(nproc)"; then
  passed=$((passed + 1))
else
  count_failure "coverage"
fi
head -n 40 build/coverage/lines.txt
finish_count

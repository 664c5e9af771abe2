#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# How long a program of one file that does one HTTPS GET takes to compile, and how much memory the compiler needs: khive
# header-only, khive against khive::compiled, naive Beast over TLS, libcurl and cpp-httplib. Each is the least of ROUNDS (3) runs.
#
# Fails if khive takes more of Beast's CPU time than half with khive::compiled, or than 0.70 header-only.
#
#   tests/benchmark/compile_time.sh           -O0 and -O2
#   tests/benchmark/compile_time.sh --quick   -O0, one run each, khive and Beast only
set -euo pipefail
cd "$(dirname "$0")/../.."

levels=(-O0 -O2)
others=(libcurl cpp_httplib)
if [[ ${1:-} == --quick ]]; then levels=(-O0) ROUNDS=1 others=(); fi
cmake/install-debian-packages.sh build ${others:+compile_time}
. cmake/count.sh
compiler=${CXX:-g++-12}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# measure NAME SOURCE FLAGS...: prints a row and leaves the least CPU time in $seconds
measure() {
  local name=$1 source=$2 best= memory=0 row
  shift 2
  for _ in $(seq "${ROUNDS:-3}"); do
    row=$( { /usr/bin/env python3 - "$compiler" -std=c++20 "$@" -Iinclude -c "$source" -o "$out/o.o" <<'PY'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{used.ru_utime + used.ru_stime:.2f} {used.ru_maxrss // 1024}")
PY
    } )
    if [[ -z $best ]] || awk "BEGIN { exit !(${row% *} < $best) }"; then best=${row% *}; memory=${row#* }; fi
  done
  printf '| %-36s | %7.2f | %8d |\n' "$name" "$best" "$memory"
  seconds=$best
}

echo "| translation unit ($compiler) | CPU s | RSS MB |"
echo "|---|--:|--:|"
# within NAME LIMIT SECONDS BEAST: prints the ratio and counts whether it keeps to the limit
within() {
  local ratio
  ratio=$(awk "BEGIN { printf \"%.2f\", $3 / $4 }")
  echo "$1: $ratio of Beast, limit $2"
  if awk "BEGIN { exit !($ratio <= $2) }"; then passed=$((passed + 1)); else count_failure "$1 takes $ratio of Beast"; fi
}

for level in "${levels[@]}"; do
  measure "naive Beast over TLS $level" tests/benchmark/compile/naive_beast.cpp "$level"
  beast=$seconds
  measure "khive header-only $level" tests/benchmark/compile/khive_get.cpp "$level"
  header_only=$seconds
  measure "khive separate $level" tests/benchmark/compile/khive_get.cpp "$level" -DKHIVE_SEPARATE_COMPILATION
  for other in "${others[@]}"; do measure "$other $level" "tests/benchmark/compile/${other}_get.cpp" "$level"; done
  within "header-only $level" 0.70 "$header_only" "$beast"
  within "separate $level" 0.50 "$seconds" "$beast"
done
finish_count

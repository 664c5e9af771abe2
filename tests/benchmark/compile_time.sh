#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# How long a program of one file that does one HTTPS GET takes to compile, and how much memory the compiler needs: khive
# header-only, khive against khive::compiled, naive Beast over TLS, libcurl and cpp-httplib. Each is the least of ROUNDS (3)
# runs, taken in turn.
#
# Fails if khive takes more of Beast's CPU time than 0.35 with khive::compiled, or than 0.55 header-only. The shares differ between
# machines.
#
#   tests/benchmark/compile_time.sh           -O0 and -O2
#   tests/benchmark/compile_time.sh --quick   -O0, khive and Beast only, and no more rounds, of 5, than show the limits kept
set -euo pipefail
cd "$(dirname "$0")/../.."

levels=(-O0 -O2)
names=(beast header_only separate libcurl cpp_httplib)
rounds=${ROUNDS:-3}
quick=
if [[ ${1:-} == --quick ]]; then quick=1 levels=(-O0) names=(beast header_only separate) rounds=${ROUNDS:-5}; fi
if [[ $quick ]]; then cmake/install-debian-packages.sh build; else cmake/install-debian-packages.sh build compile_time; fi
. cmake/count.sh
compiler=${CXX:-g++-12}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

declare -A title=([beast]="naive Beast over TLS" [header_only]="khive header-only" [separate]="khive separate"
  [libcurl]=libcurl [cpp_httplib]=cpp-httplib)
declare -A source=([beast]=naive_beast [header_only]=khive_get [separate]=khive_get [libcurl]=libcurl_get
  [cpp_httplib]=cpp_httplib_get)
declare -A flags=([separate]=-DKHIVE_SEPARATE_COMPILATION)
declare -A limit=([header_only-O0]=0.55 [header_only-O2]=0.55 [separate-O0]=0.35 [separate-O2]=0.35)
declare -A least memory

# sample NAME LEVEL: compiles once and keeps the least CPU time and the memory that went with it.
sample() {
  local row
  row=$( { /usr/bin/env python3 - "$compiler" -std=c++20 "$2" ${flags[$1]:-} -Iinclude \
    -c "tests/benchmark/compile/${source[$1]}.cpp" -o "$out/o.o" <<'PY'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{used.ru_utime + used.ru_stime:.2f} {used.ru_maxrss // 1024}")
PY
  } )
  if [[ -z ${least[$1]:-} ]] || awk "BEGIN { exit !(${row% *} < ${least[$1]}) }"; then
    least[$1]=${row% *} memory[$1]=${row#* }
  fi
}

ratio() { awk "BEGIN { printf \"%.2f\", ${least[$1]} / ${least[beast]} }"; }
within() { awk "BEGIN { exit !(${least[$1]} / ${least[beast]} <= ${limit[$1$level]}) }"; }

echo "| translation unit ($compiler) | CPU s | RSS MB |"
echo "|---|--:|--:|"
for level in "${levels[@]}"; do
  least=() memory=()
  for _ in $(seq "$rounds"); do
    for name in "${names[@]}"; do sample "$name" "$level"; done
    if [[ $quick ]] && within header_only && within separate; then break; fi
  done
  for name in "${names[@]}"; do printf '| %-36s | %7.2f | %8d |\n' "${title[$name]} $level" "${least[$name]}" "${memory[$name]}"; done
  for name in header_only separate; do
    text="$name $level takes $(ratio "$name") of Beast, limit ${limit[$name$level]}"
    echo "$text"
    if within "$name"; then passed=$((passed + 1)); else count_failure "$text"; fi
  done
done
finish_count

#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# What one small GET over 64 kept-alive connections costs: khive with all four policies on and with none, beside naive Beast
# with coroutines and no policy. All in one run, interleaved, server and client each on a core of its own.
#
#   tests/benchmark/race.sh [ROUNDS]    default 8; CPU is the least of them
#
# User instructions are a slope by callgrind between two run lengths and repeat to 1 %; heap allocations are counted exactly;
# CPU time depends on the machine and its mood, so only ratios within one run mean something.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake/install-debian-packages.sh build benchmark

rounds=${1:-8}
out=build/race
mkdir -p "$out"
for program in tiny_server naive_beast khive_client; do
  g++-12 -std=c++20 -O2 -DNDEBUG -Iinclude "tests/benchmark/race/$program.cpp" -o "$out/$program" -lboost_url -lssl -lcrypto -pthread
done

coproc SERVER { exec taskset -c 0 "$out/tiny_server"; }
trap 'kill "$SERVER_PID" 2>/dev/null || true' EXIT
read -r port <&"${SERVER[0]}"

requests=${REQUESTS:-100000}
clients=("naive_beast" "khive_client all" "khive_client none")
results=$out/results
: > "$results"
for _ in $(seq "$rounds"); do
  for client in "${clients[@]}"; do
    read -r program mode <<< "$client"
    taskset -c 1 "$out/$program" "$port" /small 64 "$requests" ${mode:+"$mode"} >> "$results"
  done
done

instructions() { # PROGRAM MODE REQUESTS
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$out/$1" "$port" /small 64 "$3" ${2:+"$2"} 2>&1 > /dev/null |
    awk '/Collected/ { print $4 }'
}

python3 - "$results" <<'PY' > "$out/best"
import sys
best = {}
for line in open(sys.argv[1]):
    row = dict(pair.split("=", 1) for pair in line.split())
    if row["wrong"] != "0":
        sys.exit(f"{row['client']}: {row['wrong']} wrong answers")
    name = row["client"]
    if name not in best or float(row["cpu_us"]) < float(best[name]["cpu_us"]):
        best[name] = row
for name, row in best.items():
    print(name, row["cpu_us"], row["allocations"], row["per_second"], row["rss_mb"])
PY

base=$(awk '$1 == "naive_beast" { print $2 }' "$out/best")
echo "| client | client CPU us/req | x naive | user instr/req | allocations/req | req/s | peak RSS MB |"
echo "|---|--:|--:|--:|--:|--:|--:|"
while read -r name cpu allocations rate rss; do
  case $name in khive) program=khive_client mode=all ;; khive_none) program=khive_client mode=none ;; *) program=$name mode= ;; esac
  short=$(instructions "$program" "$mode" 2000)
  long=$(instructions "$program" "$mode" 6000)
  awk -v n="$name" -v c="$cpu" -v b="$base" -v i=$(((long - short) / 4000)) -v a="$allocations" -v r="$rate" -v m="$rss" \
    'BEGIN { printf "| %s | %.2f | %.2f | %d | %.2f | %d | %.1f |\n", n, c, c / b, i, a, r, m }'
done < "$out/best"

#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Installs what is missing, builds the fuzz targets with Clang 19, libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer, runs
# each over its corpus, and then lets it search. Ends with `N passed, N failed`: two runs of each target, one for `--seconds 0`.
#
#   tests/fuzz/run.sh                          every target for 60 seconds
#   tests/fuzz/run.sh --seconds 600 target...  these targets, named as the files tests/fuzz/*.cpp are, for 10 minutes each
#   tests/fuzz/run.sh --seconds 0              the corpora only
#   tests/fuzz/run.sh --seed 1                 the same search each time, as far as the time reaches; else another each time
#
# What is found lands in build/fuzz/artifacts/TARGET, what helps to search further in build/fuzz/corpus/TARGET. To see a finding
# again: build/fuzz/tests/fuzz/fuzz_TARGET FILE. Fix it with a test under tests/unit, and keep the file in corpus/TARGET.
set -euo pipefail
cd "$(dirname "$0")/../.."
. cmake/count.sh

seconds=60
seed=0
targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=${2:?--seconds needs a number}; shift ;;
    --seed) seed=${2:?--seed needs a number}; shift ;;
    --help | -h) sed -n '3,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "unknown option: $1" >&2; exit 2 ;;
    *) targets+=("$1") ;;
  esac
  shift
done
[[ $seconds =~ ^[0-9]+$ && $seed =~ ^[0-9]+$ ]] || { echo "--seconds and --seed need a number" >&2; exit 2; }
if [ ${#targets[@]} = 0 ]; then
  for source in tests/fuzz/*.cpp; do targets+=("$(basename "$source" .cpp)"); done
fi
for target in "${targets[@]}"; do
  [ -f "tests/fuzz/$target.cpp" ] || { echo "no such target: $target" >&2; exit 2; }
done

dictionary_of() {
  case "$1" in
    bulk_job | error_body) echo json ;;
    url) echo url ;;
    retry_after) echo date ;;
    *) echo http ;;
  esac
}

# run_target(what target options... corpora...): one run of a program; leaves its result and log under build/fuzz/results.
run_target() {
  local what=$1 target=$2 result="build/fuzz/results/$2 $1"
  shift 2
  if "build/fuzz/tests/fuzz/fuzz_$target" -timeout=30 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/artifacts/$target/" "$@" >"$result.log" 2>&1; then
    echo passed >"$result"
  else
    echo failed >"$result"
  fi
}

search() {
  local corpus=tests/fuzz/corpus/$1
  mkdir -p "build/fuzz/artifacts/$1" "build/fuzz/corpus/$1"
  run_target "its corpus" "$1" -runs=0 "$corpus"
  [ "$seconds" = 0 ] || run_target "$seconds s" "$1" -max_total_time="$seconds" -seed="$seed" \
    -dict="tests/fuzz/$(dictionary_of "$1").dict" "build/fuzz/corpus/$1" "$corpus"
}

# Counts what ran and shows the end of what failed.
report() {
  local result executions
  for result in build/fuzz/results/*.log; do
    result=${result%.log}
    executions=$(sed -nE 's/^stat::number_of_executed_units: *//p' "$result.log")
    echo "== $(basename "$result"): $(cat "$result"), ${executions:-no} executions"
    if [ "$(cat "$result")" = passed ]; then
      passed=$((passed + 1))
    else
      count_failure "$(basename "$result"): $(grep -m 1 -E '^broken: |ERROR: |runtime error: ' "$result.log" | cut -c 1-300)"
      tail -n 40 "$result.log"
    fi
  done
}

cmake/install-debian-packages.sh build clang
cmake --preset fuzz
cmake --build --preset fuzz --target "${targets[@]/#/fuzz_}"

rm -rf build/fuzz/results
mkdir -p build/fuzz/results
for target in "${targets[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
  search "$target" &
done
wait

report
finish_count

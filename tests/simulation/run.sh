#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Random schedules against the whole client, many more than the tests run: optimised, without sanitizers, on every core. Each
# thousand of seeds counts as one. Ends with `N passed, N failed`.
#
#   tests/simulation/run.sh [--seeds N] [--first SEED]    default: a million from 0 on
set -euo pipefail
cd "$(dirname "$0")/../.."
. cmake/count.sh

seeds=1000000
first=0
while [ $# -gt 0 ]; do
  case "$1" in
    --seeds) seeds=${2:?--seeds needs a number}; shift ;;
    --first) first=${2:?--first needs a number}; shift ;;
    --help | -h) sed -n '3,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "unknown argument: $1" >&2; exit 2 ;;
  esac
  shift
done

cmake/install-debian-packages.sh build tests
cmake --preset simulation
cmake --build --preset simulation --target simulation

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
run_thousand() {
  KHIVE_FIRST_SEED=$1 KHIVE_SEEDS=1000 build/simulation/tests/simulation "[many]" >"$2/$1.log" 2>&1 || touch "$2/$1.failed"
}
export -f run_thousand
started=$SECONDS
seq "$first" 1000 $((first + seeds - 1)) | xargs -P "$(nproc)" -I{} bash -c 'run_thousand {} '"$results"

for log in "$results"/*.log; do
  if [ -e "${log%.log}.failed" ]; then
    count_failure "seeds from $(basename "$log" .log) on"
    grep -A 12 'with expansion' "$log" || tail -n 20 "$log"
  else
    passed=$((passed + 1))
  fi
done
echo "$seeds seeds from $first on, $((SECONDS - started)) s"
finish_count

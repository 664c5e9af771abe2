# SPDX-License-Identifier: BSL-1.0
# shellcheck shell=bash
# Sourced by the scripts that run checks: adds up what passed and failed and ends with `N passed, N failed`.

passed=0
failed=0
failures=()

count_failure() {
  failed=$((failed + 1))
  failures+=("$1")
}

# Runs a command that ends with CTest's summary or with our own `N passed, N failed` line and adds its counts.
run_and_count() {
  local log status=0 counts
  log=$(mktemp)
  "$@" </dev/null 2>&1 | tee "$log" || status=$?
  counts=$(counts_in "$log")
  rm -f "$log"
  read -r ok bad <<<"${counts:-0 0}"
  passed=$((passed + ok))
  failed=$((failed + bad))
  [ "$bad" = 0 ] || failures+=("$* : $bad failed")
  if [ "$bad" = 0 ] && { [ "$status" != 0 ] || [ "$ok" = 0 ]; }; then
    count_failure "$* : status $status, $ok passed"
  fi
}

# `passed failed` from the last summary line of a log.
counts_in() {
  sed -nE \
    -e 's/^([0-9]+) passed, ([0-9]+) failed.*$/\1 \2/p' \
    -e 's/^[0-9]+% tests passed, ([0-9]+) tests? failed out of ([0-9]+).*$/\2 \1 ctest/p' "$1" |
    tail -n 1 | awk '$3 == "ctest" { print $1 - $2, $2; next } { print $1, $2 }'
}

finish_count() {
  [ ${#failures[@]} = 0 ] || printf 'failed: %s\n' "${failures[@]}"
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

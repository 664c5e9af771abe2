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
  read -r ok bad <<<"${counts:-0 0}"
  passed=$((passed + ok))
  failed=$((failed + bad))
  if [ "$bad" != 0 ]; then
    failures+=("$* : $bad failed")
    mapfile -t -O ${#failures[@]} failures < <(failed_tests_in "$log")
  fi
  if [ "$bad" = 0 ] && { [ "$status" != 0 ] || [ "$ok" = 0 ]; }; then
    count_failure "$* : status $status, $ok passed"
  fi
  rm -f "$log"
}

# What the end of a long log should say: the names of the tests that failed in a log of CTest, or of a script that ended with
# `finish_count`, and the first assertions of Catch2 that did not hold.
failed_tests_in() {
  if grep -q '^failed: ' "$1"; then
    sed -nE 's/^failed: *(.*)$/  \1/p' "$1"
  else
    sed -nE \
      -e 's/^[[:space:]]+[0-9]+ - (.*\([A-Za-z ]+\).*)$/  \1/p' \
      -e '/: FAILED:/,+3 s/^(.{1,200}).*$/    \1/p' "$1" | head -n 60
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

#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Mixed load with faults for half an hour: plain and TLS against an nginx that restarts all the time, and a server that spoils
# answers. Memory, descriptors and timers must be at the end what they were in the first third. Ends with `N passed, N failed`.
#
#   tests/endurance/mixed_load.sh [SECONDS]    default: 1800
set -euo pipefail
cd "$(dirname "$0")/../.."
. cmake/count.sh

cmake/install-debian-packages.sh build tests
cmake --preset simulation >/dev/null
cmake --build --preset simulation --target endurance

run_endurance() {
  if KHIVE_ENDURANCE_SECONDS=${1:-1800} build/simulation/tests/endurance; then
    echo "1 passed, 0 failed"
  else
    echo "0 passed, 1 failed"
    return 1
  fi
}
run_and_count run_endurance "$@"
finish_count

#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Fails if a request of khive costs more user instructions, heap allocations or system calls, or a call or connection more memory,
# than bounds.txt allows.
# Instructions and allocations repeat to 1 %; system calls do on a quiet machine only, so their bounds are wider. Times are
# printed, not judged.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake/install-debian-packages.sh build benchmark
. tests/benchmark/race/prepare.sh
compile tiny_server
compile khive_client -lboost_url
compile khive_memory -lboost_url
exec python3 "$race/guard.py" tests/benchmark/bounds.txt

#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# khive beside others, in one run: a table for each workload.
#
#   tests/benchmark/race.sh [W1 W2 W3 W4 W5 W5tls W5res W6 W6tls Wjson]    default: all
#
# ROUNDS (8) interleaved rounds, SLOW_ROUNDS (2) of them with the slow runtimes; client CPU is the least of them. The server has
# the first core, the clients the second. User instructions (callgrind) and system calls (perf, or strace where that is not
# allowed) are slopes between two lengths of run; heap allocations are counted after the warm-up. CPU time depends on the
# machine and its mood: only ratios within one run mean something.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake/install-debian-packages.sh build benchmark race
. tests/benchmark/race/prepare.sh

compile tiny_server
compile floor
compile khive_client -lboost_url
compile beast_coroutine
compile beast_callback
compile curl_multi -lcurl
compile cpp_httplib -lcpp-httplib
[[ $out/go_client -nt $race/go_client.go ]] || go build -o "$out/go_client" "$race/go_client.go"
[[ $out/JdkClient.class -nt $race/JdkClient.java ]] || javac -d "$out" "$race/JdkClient.java"
cp --update "$race"/{package.json,package-lock.json,undici_client.mjs,python_client.py} "$out"
[[ $out/node_modules -nt $out/package-lock.json ]] || npm ci --prefix "$out" --no-audit --no-fund --silent

exec python3 "$race/race.py" "${ROUNDS:-8}" "${SLOW_ROUNDS:-2}" "$@"

#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# A million lines through bulk against nginx, in bounded memory: every line gets one result, and a resumed run asks nothing
# again. Then a tenth of it over TLS. Prints lines, time and the peak memory of bulk. Ends with `N passed, N failed`.
#
#   tests/endurance/bulk_million.sh [LINES]    default: 1000000
set -euo pipefail
cd "$(dirname "$0")/../.."
lines=${1:-1000000}
most_memory=64 # MiB
. cmake/count.sh
cmake/install-debian-packages.sh build tests examples
cmake --preset release >/dev/null
cmake --build --preset release --target bulk

work=$(mktemp -d)
trap 'kill "$(cat "$work/nginx.pid")" 2>/dev/null || true; rm -rf "$work"' EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -keyout "$work/key.pem" -out "$work/ca.pem" 2>/dev/null
read -r port tls_port < <(python3 - <<'PY'
import socket
sockets = [socket.socket() for _ in range(2)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))
PY
)
cat >"$work/nginx.conf" <<CONF
pid $work/nginx.pid;
error_log $work/error.log;
worker_processes 1;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000;
  server {
    listen 127.0.0.1:$port;
    listen 127.0.0.1:$tls_port ssl;
    ssl_certificate $work/ca.pem;
    ssl_certificate_key $work/key.pem;
    location / { default_type application/json; return 200 '{"ok": true}'; }
  }
}
CONF
PATH=$PATH:/usr/sbin nginx -c "$work/nginx.conf"

# input COUNT: that many requests
input() {
  python3 - "$1" <<'PY'
import sys
for i in range(int(sys.argv[1])):
    print(f'{{"id": {i}, "method": "POST", "path": "/items/{i}", "body": {{"n": {i}}}}}')
PY
}

check() {
  if eval "$2"; then passed=$((passed + 1)); else count_failure "$1"; fi
}

# push NAME COUNT BASE_URL OPTIONS...: one run over COUNT lines and one that resumes it
push() {
  local name=$1 count=$2 base=$3
  shift 3
  input "$count" >"$work/in.jsonl"
  local run=(build/release/examples/bulk --base-url "$base" --rate 10000000 --concurrency 64 --output "$work/$name.jsonl" "$@")
  echo "== $name: $count lines"
  "${run[@]}" "$work/in.jsonl" 2>"$work/$name.txt" || count_failure "$name: bulk failed"
  cat "$work/$name.txt"
  local memory results
  memory=$(awk '/^peak memory/ { print $3 }' "$work/$name.txt")
  results=$(python3 - "$work/$name.jsonl" <<'PY'
import json, sys
ids = set()
good = total = 0
for line in open(sys.argv[1]):
    result = json.loads(line)
    ids.add(result["id"])
    total += 1
    good += result.get("status") == 200
print(f"{total} {len(ids)} {good}")
PY
)
  check "$name: results '$results'" "[[ '$results' == '$count $count $count' ]]"
  check "$name: peak memory $memory MiB, at most $most_memory" "awk 'BEGIN { exit !($memory <= $most_memory) }'"
  "${run[@]}" --resume "$work/in.jsonl" 2>"$work/$name.resumed.txt" || count_failure "$name: the resumed run failed"
  check "$name: the resumed run asked again" "grep -Eq '^  finished before +$count\$' '$work/$name.resumed.txt'"
  check "$name: the resumed run was answered" "! grep -q '^  succeeded' '$work/$name.resumed.txt'"
  echo "resumed: peak memory $(awk '/^peak memory/ { print $3 }' "$work/$name.resumed.txt") MiB"
}

push plain "$lines" "http://127.0.0.1:$port"
push tls "$((lines / 10))" "https://localhost:$tls_port" --ca "$work/ca.pem"
finish_count

# SPDX-License-Identifier: BSL-1.0
# For race.sh and guard.sh: `out`, the programs, what the server serves, and certificates.

out=$PWD/build/race
race=$PWD/tests/benchmark/race
mkdir -p "$out/files"

# compile NAME LIBRARIES...: a C++ program of the race, if it is older than its sources
compile() {
  local name=$1
  shift
  local newest
  newest=$(find "$race/$name.cpp" "$race"/*.hpp include -newer "$out/$name" -print -quit 2>/dev/null || echo none)
  [[ -x $out/$name && -z $newest ]] ||
    nice g++-12 -std=c++20 -O2 -DNDEBUG -Wno-mismatched-new-delete -Iinclude "$race/$name.cpp" -o "$out/$name" \
      "$@" -lssl -lcrypto -pthread
}

# certificate NAME: an authority of its own, NAME-ca.pem, and NAME.pem with NAME.key for the addresses of tiny_server
certificate() {
  local names
  names=$(printf ',IP:127.0.0.%d' {1..16})
  [[ $(cat "$out/$1.names" 2>/dev/null) == "$names" ]] && return
  local quiet=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
  openssl req -x509 "${quiet[@]}" -keyout "$out/$1-ca.key" -out "$out/$1-ca.pem" -days 3650 -subj "/CN=$1 authority" 2>/dev/null
  openssl req -new "${quiet[@]}" -keyout "$out/$1.key" -out "$out/$1.csr" -subj /CN=127.0.0.1 2>/dev/null
  openssl x509 -req -in "$out/$1.csr" -CA "$out/$1-ca.pem" -CAkey "$out/$1-ca.key" -CAcreateserial -days 3650 \
    -extfile <(echo "subjectAltName=${names#,}") -out "$out/$1.pem" 2>/dev/null
  echo "$names" >"$out/$1.names"
}

python3 - "$out/files" <<'PY'
import json, sys
text = json.dumps({"id": 42, "name": "a small answer", "tags": ["a", "b", "c"], "text": ""})
small = text[:-2] + "x" * (208 - len(text)) + '"}'
open(sys.argv[1] + "/small", "w").write(small)
order = {"id": 4711, "customer": "Ada Lovelace", "note": "leave it with the \"neighbour\"\n", "total": 1234.5,
         "items": [{"sku": f"SKU-{i:05}", "quantity": i + 1, "price": 9.75 + i} for i in range(5)]}
open(sys.argv[1] + "/order", "w").write(json.dumps(order))
open(sys.argv[1] + "/big", "w").write("".join(chr(ord("a") + i % 23) for i in range(65536)))
PY
certificate server
certificate other # nobody trusts it

#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Micro-benchmarks: what each part costs alone, in time and heap allocations, and what two threads do with shared policies.
#
#   tests/benchmark/micro.sh [FILTER] [OPTIONS...]    FILTER: a regular expression; OPTIONS: Google Benchmark's
#
# Times depend on the machine and its mood; allocations do not.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake/install-debian-packages.sh build benchmark

out=build/micro
mkdir -p "$out"
objects=()
for source in tests/benchmark/micro/*.cpp; do
  object=$out/$(basename "$source" .cpp).o
  objects+=("$object")
  [[ -e $object && -z $(find "$source" tests/benchmark/micro/*.hpp include -newer "$object" -print -quit) ]] ||
    nice "${CXX:-g++-12}" -std=c++20 -O2 -DNDEBUG -Wno-mismatched-new-delete -Iinclude -c "$source" -o "$object"
done
"${CXX:-g++-12}" "${objects[@]}" -o "$out/micro" -lbenchmark -lboost_url -lssl -lcrypto -pthread

exec "$out/micro" --benchmark_filter="${1:-.}" "${@:2}"

#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Installs what is missing, builds the flagship example, bulk, and runs it.
#
#   examples/run.sh               pushes a shipped file of requests through all four policies at an embedded faulty server
#   examples/run.sh arguments...  bulk with these arguments, against any API; --help lists them
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

# Standard output belongs to the example.
{
  "$root/cmake/install-debian-packages.sh" build examples
  cmake -S "$root" --preset release
  cmake --build "$root/build/release" --target bulk
} >&2

if [ $# = 0 ]; then set -- --demo "$root/examples/bulk/requests.jsonl"; fi
exec "$root/build/release/examples/bulk" "$@"

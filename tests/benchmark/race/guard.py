# SPDX-License-Identifier: BSL-1.0
"""Measures what bounds.txt bounds; see guard.sh."""
import sys

import measure

WORKLOADS = {"W2": ("plain", 64), "W3": ("tls", 64)}
COUNTED = ("instructions", "allocations", "syscalls")


def costs(url, connections, mode):
    """What is counted, a request, and the CPU time it took."""
    def command(requests, warm_up=200):
        return [measure.OUT / "khive_client", url, connections, requests, warm_up, mode]

    timed, stderr = measure.run(command(30000, 2000), "small")
    if timed["wrong"] != "0":
        raise SystemExit(f"{timed['wrong']} wrong answers\n{stderr}")
    return {
        "instructions": measure.slope(lambda n: measure.instructions(command(n), "small"), (2000, 6000)),
        "allocations": float(timed["allocations"]),
        # The least of three: a server that is slow to answer makes the client look for the answer twice.
        "syscalls": min(measure.slope(lambda n: measure.syscalls(command(n), "small"), (5000, 20000)) for _ in range(3)),
    }, timed["cpu_us"]


def main(file):
    with open(file, encoding="ascii") as text:
        bounds = [line.split() for line in text if line.strip() and not line.startswith("#")]
    failed = 0
    with measure.Server() as server:
        for workload, mode, *limits in bounds:
            port, connections = WORKLOADS[workload]
            found, cpu = costs(server.url(port, "/small"), connections, mode)
            print(f"{workload} {mode}: {cpu} µs of CPU a request")
            for name, limit in zip(COUNTED, limits):
                good = found[name] <= float(limit)
                failed += not good
                print(f"  {'ok  ' if good else 'FAIL'} {found[name]:10,.2f} {name}, at most {float(limit):,.2f}")
    print(f"{len(bounds) * len(COUNTED) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main(*sys.argv[1:])

# SPDX-License-Identifier: BSL-1.0
"""Measures what bounds.txt bounds; see guard.sh."""
import sys

import measure

# server, connections, path, body, share of the requests: each of W5 takes a port
WORKLOADS = {"W1": ("plain", 1, "/small", "small", 1), "W2": ("plain", 64, "/small", "small", 1),
             "W3": ("tls", 64, "/small", "small", 1), "W4": ("plain", 64, "/big", "big", 1),
             "W5": ("plain", 8, "/fresh", "small", 5)}


def costs(url, connections, body, mode, share):
    """What is counted, a request, and the CPU time it took."""
    def command(requests, warm_up=200):
        return [measure.OUT / "khive_client", url, connections, requests // share, warm_up // share, mode]

    def slope(count, lengths):
        return measure.slope(count, lengths) * share

    timed, stderr = measure.run(command(30000, 2000), body)
    if timed["wrong"] != "0":
        raise SystemExit(f"{timed['wrong']} wrong answers\n{stderr}")
    return {
        "instructions": slope(lambda n: measure.instructions(command(n), body), (1000, 3000)),
        "allocations": float(timed["allocations"]),
        # The least of three: a server that is slow to answer makes the client look for the answer twice.
        "syscalls": min(slope(lambda n: measure.syscalls(command(n), body), (5000, 20000)) for _ in range(3)),
    }, timed["cpu_us"]


def memory(url):
    """Bytes of the heap: of a call that waits for its answer, its connection included, and of an idle connection."""
    found, stderr = measure.run([measure.OUT / "khive_memory", url, 200, 200, 0], "small")
    if found["wrong"] != "0":
        raise SystemExit(f"{found['wrong']} wrong answers\n{stderr}")
    return {"bytes a call in flight": float(found["in_flight"]), "bytes an idle connection": float(found["idle"])}


def within(found, limits):
    """Prints what was found beside its limits; how many are above."""
    failed = 0
    for (name, value), limit in zip(found.items(), limits):
        good = value <= float(limit)
        failed += not good
        print(f"  {'ok  ' if good else 'FAIL'} {value:10,.2f} {name}, at most {float(limit):,.2f}")
    return failed


def main(file):
    with open(file, encoding="ascii") as text:
        bounds = [line.split() for line in text if line.strip() and not line.startswith("#")]
    failed = 0
    counted = 0
    with measure.Server() as server:
        for workload, mode, *limits in bounds:
            counted += len(limits)
            if workload == "memory":
                print(f"memory {mode}")
                failed += within(memory(server.url(mode, "/slow")), limits)
                continue
            port, connections, path, body, share = WORKLOADS[workload]
            found, cpu = costs(server.url(port, path), connections, body, mode, share)
            print(f"{workload} {mode}: {cpu} µs of CPU a request")
            failed += within(found, limits)
    print(f"{counted - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main(*sys.argv[1:])

# SPDX-License-Identifier: BSL-1.0
"""The race: `race.py ROUNDS SLOW_ROUNDS [WORKLOAD ...]` prints a table for each workload; see race.sh."""
import dataclasses
import sys

import measure
from measure import OUT


@dataclasses.dataclass
class Client:
    name: str
    program: tuple
    after: tuple = ()     # arguments at the end
    share: int = 1        # of the requests: 1 all, 10 a tenth
    native: bool = True   # instructions and allocations can be counted, and it is fast enough for all rounds

    def command(self, url, connections, requests, warm_up):
        return [*self.program, url, connections, requests, warm_up, *self.after]


CLIENTS = [
    Client("floor", (OUT / "floor",)),
    Client("khive", (OUT / "khive_client",), ("all",)),
    Client("khive, no policies", (OUT / "khive_client",), ("none",)),
    Client("Beast, coroutines", (OUT / "beast_coroutine",)),
    Client("Beast, callbacks", (OUT / "beast_callback",)),
    Client("libcurl multi", (OUT / "curl_multi",)),
    Client("cpp-httplib", (OUT / "cpp_httplib",)),
    Client("Go net/http", (OUT / "go_client",), share=2, native=False),
    Client("Node undici", ("node", OUT / "undici_client.mjs"), share=2, native=False),
    Client("JDK HttpClient", ("java", "-cp", OUT, "JdkClient"), share=10, native=False),
    Client("aiohttp", ("/usr/bin/python3", OUT / "python_client.py"), ("aiohttp",), share=10, native=False),
    Client("httpx", ("/usr/bin/python3", OUT / "python_client.py"), ("httpx",), share=40, native=False),
]
BY_HAND = ("floor", "khive", "khive, no policies", "Beast, coroutines")


@dataclasses.dataclass
class Workload:
    title: str
    port: str
    path: str
    body: str
    connections: int
    requests: int
    counted: int = 0      # requests of the shorter run under callgrind; 0: all requests at once, memory is what counts
    clients: tuple = ()   # those who can; empty: all


WORKLOADS = {
    "W1": Workload("small GET, one connection, one after the other", "plain", "/small", "small", 1, 20000, 1000),
    "W2": Workload("small GET, 64 connections", "plain", "/small", "small", 64, 100000, 2000),
    "W3": Workload("small GET, 64 connections, TLS 1.3", "tls", "/small", "small", 64, 60000, 2000),
    "W4": Workload("GET of 64 KiB, 64 connections", "plain", "/big", "big", 64, 20000, 600),
    "W5": Workload("new connection a request, 8 at a time", "plain", "/fresh", "small", 8, 8000, 500),
    "W5tls": Workload("new connection a request, TLS 1.3, full handshakes, 8 at a time", "full", "/fresh", "small", 8, 800, 50),
    "W5res": Workload("new connection a request, TLS 1.3, tickets offered, 8 at a time", "tls", "/fresh", "small", 8, 1600, 50),
    "W6": Workload("10,000 calls in flight, each answered after 1 s", "plain", "/slow", "small", 10000, 10000),
    "W6tls": Workload("4,000 calls in flight over TLS 1.3, each answered after 1 s", "tls", "/slow", "small", 4000, 4000),
    "Wjson": Workload("POST of a struct as JSON, decoding of the answer, 64 connections", "plain", "/echo", "order", 64, 50000, 1000,
                      BY_HAND),
}


class Race:
    def __init__(self, server, workload, rounds, slow_rounds):
        self.server, self.work = server, workload
        self.rounds, self.slow_rounds = rounds, slow_rounds
        self.clients = [client for client in CLIENTS if not workload.clients or client.name in workload.clients]
        self.rows = {client.name: [] for client in self.clients}

    @property
    def url(self):
        return self.server.url(self.work.port, self.work.path)

    def requests(self, client):
        return max(self.work.requests // client.share, min(self.work.requests, 500))

    def command(self, client, requests=None, warm_up=None):
        requests = requests or self.requests(client)
        if not self.work.counted:  # one call a connection; who is too slow for all gets fewer
            requests = self.work.requests if client.share < 40 else 1000
            return client.command(self.url, requests, requests, 0)
        if warm_up is None:
            warm_up = requests // (20 if client.native else 2)
        return client.command(self.url, self.work.connections, requests, warm_up)

    def run_all(self):
        for number in range(self.rounds):
            for client in self.clients:
                if client.native or number < self.slow_rounds:
                    self.run_one(client)

    def run_one(self, client):
        resumed, handshakes = self.server.handshakes()
        row, stderr = measure.run(self.command(client), self.work.body)
        if row["wrong"] == "all":
            raise SystemExit(f"{client.name} failed\n{stderr}")
        again, more = self.server.handshakes()
        row["resumed"] = 100 * (again - resumed) / max(1, more - handshakes)
        self.rows[client.name].append(row)

    def best(self, name, key, choose=min):
        values = [float(row[key]) for row in self.rows[name] if key in row]
        return choose(values) if values else None

    def slopes(self, client):
        """Instructions and system calls a request."""
        work = self.work
        executed = None
        if client.native:
            lengths = (work.counted, 3 * work.counted)
            executed = measure.slope(lambda n: measure.instructions(self.command(client, n, 200), work.body), lengths)
        short = max(self.requests(client) // 8, 10)
        calls = measure.slope(lambda n: measure.syscalls(self.command(client, n, short), work.body), (short, 3 * short))
        return executed, calls

    def table(self):
        wrong = {client.name: int(self.best(client.name, "wrong", max)) for client in self.clients}
        return (self.table_of_calls if self.work.counted else self.table_of_memory)(wrong)

    def table_of_calls(self, wrong):
        floor = self.best("floor", "cpu_us")
        tls = self.work.port != "plain" and self.work.path == "/fresh"
        yield ["client", "req/s", "client CPU µs/req", "× floor", "user instr/req", "heap allocs/req", "syscalls/req", "peak RSS MB",
               "wrong", *(["resumed %"] if tls else [])]
        for client in self.clients:
            name = client.name
            cpu = self.best(name, "cpu_us")
            executed, calls = self.slopes(client)
            yield [name, show(self.best(name, "per_second", max), 0), show(cpu, 2), show(cpu / floor, 2), show(executed, 0),
                   show(self.best(name, "allocations"), 2), show(calls, 2), show(self.best(name, "rss_kib", max) / 1024, 1),
                   str(wrong[name]), *([show(self.best(name, "resumed"), 0)] if tls else [])]

    def table_of_memory(self, wrong):
        yield ["client", "in flight", "total s", "× floor", "client CPU µs/req", "peak RSS MB", "RSS at one call MB",
               "bytes a call in flight", "wrong"]
        for client in self.clients:
            name = client.name
            calls = self.command(client)[len(client.program) + 1]
            one, _ = measure.run(client.command(self.url, 1, 1, 0), self.work.body)
            peak, alone = self.best(name, "rss_kib", max), float(one["rss_kib"])
            seconds = self.best(name, "seconds")
            yield [name, show(calls, 0), show(seconds, 2), show(seconds / self.best("floor", "seconds"), 2),
                   show(self.best(name, "cpu_us"), 1), show(peak / 1024, 1), show(alone / 1024, 1),
                   show((peak - alone) * 1024 / (calls - 1), 0), str(wrong[name])]


def show(value, digits):
    return "" if value is None else f"{value:,.{digits}f}"


def check_verification(server, clients):
    """Whoever accepts a server of an unknown authority is out of the race."""
    url = server.url("tls", "/small")
    for client in clients:
        row, _ = measure.run(client.command(url, 1, 1, 0), "small", authority="other")
        if row["wrong"] == "0":
            raise SystemExit(f"{client.name} does not verify the server")


def main(rounds, slow_rounds, *names):
    failed = False
    with measure.Server() as server:
        check_verification(server, CLIENTS)
        print("All clients refuse a server of an unknown authority.")
        for name in names or WORKLOADS:
            race = Race(server, WORKLOADS[name], int(rounds), int(slow_rounds))
            race.run_all()
            print(f"\n#### {name}: {race.work.title}\n", flush=True)
            for number, row in enumerate(race.table()):
                print("| " + " | ".join(row) + " |", flush=True)
                if number == 0:
                    print("|---|" + "--:|" * (len(row) - 1))
            failed = failed or any(row["wrong"] != "0" for rows in race.rows.values() for row in rows)
    sys.exit("someone had wrong answers" if failed else 0)


main(*sys.argv[1:])

#!/usr/bin/python3
# SPDX-License-Identifier: BSL-1.0
"""aiohttp and httpx in the race: the last argument says which."""
import asyncio
import os
import re
import resource
import ssl
import sys
import time


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def aiohttp_client(tls, connections):
    import aiohttp
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections, ssl=tls))

    async def get(url):
        async with session.get(url) as answer:
            return answer.status, await answer.read()

    return get, session.close


async def httpx_client(tls, connections):
    import httpx
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    client = httpx.AsyncClient(verify=tls, limits=limits, timeout=60)

    async def get(url):
        answer = await client.get(url)
        return answer.status_code, answer.content

    return get, client.aclose


async def main(url, connections, requests, warm_up, library):
    connections, requests, warm_up = int(connections), int(requests), int(warm_up)
    with open(os.environ["RACE_BODY"], "rb") as file:
        right = file.read()
    tls = ssl.create_default_context(cafile=os.environ["RACE_CA"])
    get, close = await globals()[library + "_client"](tls, connections)
    left, done, wrong = requests + warm_up, 0, 0
    began, cpu_then = time.monotonic(), cpu()

    async def worker():
        nonlocal left, done, wrong, began, cpu_then
        while left > 0:
            left -= 1
            try:
                wrong += await get(url) != (200, right)
            except Exception:  # whatever the library throws
                wrong += 1
            done += 1
            if done == warm_up:
                began, cpu_then = time.monotonic(), cpu()

    await asyncio.gather(*(worker() for _ in range(connections)))
    seconds, used = time.monotonic() - began, cpu() - cpu_then
    await close()
    with open("/proc/self/status", encoding="ascii") as file:
        rss = re.search(r"VmHWM:\s+(\d+)", file.read()).group(1)
    print(f"client={library} seconds={seconds:.4f} per_second={requests / seconds:.0f} cpu_us={used / requests * 1e6:.3f}"
          f" rss_kib={rss} wrong={wrong}")


asyncio.run(main(*sys.argv[1:]))

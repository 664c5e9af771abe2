// SPDX-License-Identifier: BSL-1.0
//
// Node's undici in the race.

import { readFileSync } from 'node:fs'
import { Agent, request } from 'undici'

const [url, connections, requests, warmUp] = [process.argv[2], ...process.argv.slice(3, 6).map(Number)]
const right = readFileSync(process.env.RACE_BODY)
const dispatcher = new Agent({ connections, pipelining: 1, connect: { ca: readFileSync(process.env.RACE_CA) } })

async function get () {
  try {
    const answer = await request(url, { dispatcher })
    const body = Buffer.from(await answer.body.arrayBuffer())
    return answer.statusCode === 200 && body.equals(right)
  } catch {
    return false
  }
}

let left = requests + warmUp
let done = 0
let wrong = 0
let began = performance.now()
let cpu = process.cpuUsage()

async function worker () {
  while (left-- > 0) {
    if (!await get()) wrong++
    if (++done === warmUp) [began, cpu] = [performance.now(), process.cpuUsage()]
  }
}

await Promise.all(Array.from({ length: connections }, worker))
const seconds = (performance.now() - began) / 1000
const used = process.cpuUsage(cpu)
const rss = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]
console.log(`client=undici seconds=${seconds.toFixed(4)} per_second=${(requests / seconds).toFixed(0)} ` +
  `cpu_us=${((used.user + used.system) / requests).toFixed(3)} rss_kib=${rss} wrong=${wrong}`)
await dispatcher.destroy()

"""This file exists to measure limits that several workers share through one Redis.

Three processes, one limit, random requests at 0.9, 1, 2 and 10 times of it: how many were admitted
beyond the limit in any span, and how many calls Redis had. Then CPU a decision, in memory and
through leases. Then Redis is killed under load and started again: what was admitted, how long
requests waited.

    python -m bench.throttling [--seconds 4] [--small] [--json FILE]
"""

import argparse
import asyncio
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from chassis import clock
from chassis.store import Store
from gateway.metering.bound import Bound
from gateway.metering.limit import Limit
from gateway.metering.meters import Meters
from gateway.metering.shared import Shared
from sandbox.servers import launch, valkey

ROOT = Path(__file__).parents[1]
PER_S, BURST, WORKERS = 500, 250, 3
LOADS = (0.9, 1.0, 2.0, 10.0)
RATE = Limit(name="rate", kind="rate", amount=PER_S, burst=BURST)
MONTH = Limit(name="month", kind="quota", amount=10**12, period="month")
DECISIONS = 100_000


class Worker:
    """What a data plane's worker does with limits, without the HTTP."""

    def __init__(self, url: str, name: str, consumer: str, *limits: Limit) -> None:
        monotonic, unix = clock.monotonic, lambda: clock.now().timestamp()
        self.shared = Shared(Store(url), name, monotonic, WORKERS) if url else None
        self.meters = Meters(monotonic, unix, WORKERS if url else 1, self.shared)
        who = {"consumer": consumer, "key": "k", "route": "r", "address": "a", "plan": "p"}
        self.bound = Bound(self.meters.bind(limits, ("plan", "p"), who), ())

    async def admit(self) -> bool:
        """One request."""
        now_ns = self.meters.now_ns()
        if not self.bound.decide(1, now_ns):
            return True
        if self.bound.refusing(1, now_ns) is not None:
            return False
        return await self.meters.ask(self.bound, 1, now_ns, lambda: False) is None


async def offer(url: str, name: str, consumer: str, per_s: float, seconds: float) -> None:
    """One process' part; what it saw as one line of JSON."""
    worker = Worker(url, name, consumer, RATE)
    admitted: list[float] = []
    waits_s: list[float] = []
    rng, offered = random.Random(name), 0

    async def one() -> None:
        at_s = time.monotonic()
        if await worker.admit():
            admitted.append(time.monotonic())
        waits_s.append(time.monotonic() - at_s)

    due_s = begins_s = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        while due_s < begins_s + seconds:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            tasks.create_task(one())
            offered += 1
            due_s += rng.expovariate(per_s)
    assert worker.shared is not None
    calls, failures = worker.shared.calls, worker.shared.failures
    await worker.shared.aclose()
    print(json.dumps({"admitted": admitted, "waits_s": waits_s, "offered": offered,
                      "calls": calls, "failures": failures}))  # fmt: skip


def together(url: str, load: float, seconds: float, outage: Any = None) -> dict[str, Any]:
    """All processes at once. outage: called while they run."""
    consumer = f"c{os.getpid()}-{load}-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "bench.throttling", "--offer", url]
    running = [
        subprocess.Popen(
            [*command, f"w{n}-{consumer}", consumer, str(PER_S * load / WORKERS), str(seconds)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )
        for n in range(WORKERS)
    ]  # fmt: skip
    if outage is not None:
        outage()
    said = [one.communicate(timeout=seconds * 3 + 30)[0].splitlines()[-1] for one in running]
    seen = [json.loads(line) for line in said]
    admitted = sorted(at_s for one in seen for at_s in one["admitted"])
    waits_s = sorted(wait_s for one in seen for wait_s in one["waits_s"])
    offered = sum(one["offered"] for one in seen)
    took_s = admitted[-1] - admitted[0]
    return {
        "load": load,
        "offered": offered,
        "admitted": len(admitted),
        "allowed": round(BURST + PER_S * took_s),
        "beyond": beyond(admitted),
        "of_limit": round(len(admitted) / (BURST + PER_S * took_s), 3),
        "calls": sum(one["calls"] for one in seen),
        "failures": sum(one["failures"] for one in seen),
        "wait_p99_ms": round(waits_s[int(0.99 * len(waits_s))] * 1000, 2),
        "wait_most_ms": round(waits_s[-1] * 1000, 1),
    }


def beyond(admitted: list[float]) -> int:
    """The worst span between any two admissions: how many more than burst + rate * span.

    An admission is written down up to some milliseconds after it was decided; 20 are forgiven.
    """
    worst = 0
    # Of f(i) = i - rate * t(i), the largest rise is the worst span.
    lowest = float("inf")
    for number, at_s in enumerate(admitted):
        lowest = min(lowest, number - PER_S * at_s)
        rise = number + 1 - PER_S * at_s - lowest - BURST - PER_S * 0.02
        worst = max(worst, int(rise))
    return worst


async def decisions(url: str) -> float:
    """CPU microseconds a decision over a rate and a quota that are never used up."""
    fast = Limit(name="rate", kind="rate", amount=1_000_000, burst=10**9)
    worker = Worker(url, "w", f"d{time.monotonic_ns()}", fast, MONTH)
    for _ in range(2000):
        await worker.admit()
    begins_s = time.process_time()
    for number in range(DECISIONS):
        await worker.admit()
        if number % 500 == 0:
            await asyncio.sleep(0)  # as between requests: leases are renewed meanwhile
    took_s = time.process_time() - begins_s
    if worker.shared is not None:
        await worker.shared.aclose()
    return took_s / DECISIONS * 1e6


def killed(seconds: float) -> dict[str, Any]:
    """At twice the limit, Redis dies in the middle with all it knew, and comes back."""
    with tempfile.TemporaryDirectory() as folder:
        port = launch.free_port()
        command = [str(valkey.program()), "--bind", "127.0.0.1", "--port", str(port),
                   "--dir", folder, "--save", "", "--appendonly", "no"]  # fmt: skip
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        again: list[subprocess.Popen[bytes]] = []

        def outage() -> None:
            time.sleep(1.0 + seconds / 3)  # the processes need a moment to begin
            server.kill()
            server.wait()
            time.sleep(seconds / 3)
            again.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))

        try:
            _until_it_answers(port)
            return together(f"redis://127.0.0.1:{port}/0", 2.0, seconds, outage)
        finally:
            for one in (server, *again):
                one.kill()
                one.wait()


def _until_it_answers(port: int) -> None:
    ends_s = time.monotonic() + 10
    while not valkey._answers(port):
        if time.monotonic() > ends_s:
            raise SystemExit("Valkey did not start")


def main() -> None:
    """A table, and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--small", action="store_true", help="one second each, two loads")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--offer", nargs=5, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.offer:
        url, name, consumer, per_s, seconds = asked.offer
        uvloop.run(offer(url, name, consumer, float(per_s), float(seconds)))
        return
    seconds, loads = (1.0, (1.0, 10.0)) if asked.small else (asked.seconds, LOADS)
    with valkey.valkey() as url:
        rows = [together(url, load, seconds) for load in loads]
        memory_us = uvloop.run(decisions(""))
        leased_us = uvloop.run(decisions(url))
    outage = killed(max(3.0, seconds))
    for row in (*rows, {**outage, "load": "killed"}):
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    ratio = memory_us / leased_us
    print(f"CPU a decision: memory {memory_us:.2f} us, leases {leased_us:.2f} us, {ratio:.2f} x")
    whole = {
        "case": "throttling", "per_s": PER_S, "burst": BURST, "workers": WORKERS,
        "shared": rows, "killed": outage, "memory_us": round(memory_us, 2),
        "leased_us": round(leased_us, 2), "ratio": round(ratio, 3),
        "machine": {"cores": os.cpu_count(), "platform": platform.platform(),
                    "python": platform.python_version()},
        "load_average": os.getloadavg(),
    }  # fmt: skip
    print(json.dumps(whole))
    if asked.json is not None:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()

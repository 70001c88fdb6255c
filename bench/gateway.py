"""This file exists to measure the gateway's data plane beside its peers, doing the same work.

One upstream and the load generator share a core; each gateway under test has the other. Rounds
take turns (A B C A B C ...), so that a machine that drifts drifts for all; figures are medians
and their ratio to nginx + Lua. Needs nginx and wrk; a peer that is not there is left out.

    python bench/gateway.py --peers DIR [--rounds 5] [--seconds 4] [--small]
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATH = "/system/v1/netsuite/erp/invoices"
UPSTREAM_PORT = 9000  # the peers' configurations name it
OURS_PORT = 8290
CORE_TESTED, CORE_LOAD = "0", "1"
BODY = (
    '{"id":"inv_0001","client":"Northwind","currency":"EUR","total":"12345.67","status":"open",'
    '"lines":[{"sku":"A1","hours":"8.0","rate":"150.00"},{"sku":"A2","hours":"7.5","rate":"150.00"},'
    '{"sku":"A3","hours":"6.0","rate":"175.00"}],"due":"2026-12-31","terms":"net30","note":"time"}'
)

OURS = """
import asyncio, gc, sys, uvloop
from pathlib import Path
from chassis import identity
from chassis.discovery import plugs
from gateway import app, keys
from gateway.dataplane.access import LogFile
from gateway.dataplane.worker import Worker
from gateway.policy import Policy
from gateway.routes import Upstream, tier_routes
from gateway.settings import Limits
from gateway.snapshot import Consumer, Key, Plan, Snapshot

async def main(home, port, upstream):
    identity.ensure(home)
    peppers = keys.peppers(home)
    worker = Worker(limits=Limits(), peppers=peppers, signer=identity.Signer.of(home, "gateway"),
                    policies=plugs("gateway.policies", "POLICY", Policy),
                    access_log=LogFile(home / "access.jsonl"))
    key = keys.mint("live")
    (home / "key").write_text(key)
    pepper, digest = peppers.digest(key.encode())
    worker.swap(Snapshot(
        version=1,
        upstreams=(Upstream(name="system", urls=(f"http://127.0.0.1:{upstream}",)),),
        routes=tuple(route for route in tier_routes() if route.name == "system"),
        plans=(Plan("gold", ("system:*",), 1e6, 100_000, 10**12),),
        consumers=(Consumer("acme", "gold"),),
        keys=(Key("key_1", digest, pepper, "acme", ("system:read",)),),
    ))
    app._spare_the_collector()
    await worker.listen("127.0.0.1", port)
    await asyncio.Event().wait()

uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
"""


class Peer:
    """A gateway under test: how to start it, where it listens, what to send it."""

    def __init__(
        self, name: str, port: int, header: Callable[[], str], command: list[str], folder: Path
    ) -> None:
        self.name = name
        self.port = port
        self.header = header
        self.command = command
        self.folder = folder
        self.rates: list[float] = []
        self.p99_ms: list[float] = []
        self.rss_mb = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        pinned = ["taskset", "-c", CORE_TESTED, *self.command]
        self.process = _spawn(pinned, self.folder)
        _wait_for(self.port)

    def look(self) -> None:
        """Resident memory of the process and its children, after the load."""
        assert self.process is not None
        self.rss_mb = _rss_mb(self.process.pid)


def main() -> None:
    arguments = _arguments()
    for needed in ("nginx", "wrk", "taskset"):
        if shutil.which(needed) is None:
            print(
                f"{needed} is needed: apt-get install nginx libnginx-mod-http-lua wrk",
                file=sys.stderr,
            )
            sys.exit(3)
    rounds, seconds = (1, 1) if arguments.small else (arguments.rounds, arguments.seconds)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        started: list[subprocess.Popen[bytes]] = [_upstream(folder)]
        try:
            peers = [_ours(folder), *_others(arguments.peers, folder)]
            for peer in peers:
                peer.start()
                assert peer.process is not None
                started.append(peer.process)
                _load(peer, 1)  # warm, and proves that it answers 200
            for _ in range(rounds):
                for peer in peers:
                    rate, p99_ms = _load(peer, seconds)
                    peer.rates.append(rate)
                    peer.p99_ms.append(p99_ms)
            for peer in peers:
                peer.look()
        finally:
            for process in reversed(started):
                _stop(process)
    _tell(peers, rounds, seconds, arguments.json)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, help="folder with nginx-lua, haproxy, envoy")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--small", action="store_true", help="one short round, to see it work")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    return parser.parse_args()


def _ours(folder: Path) -> Peer:
    home = folder / "firmwire"
    home.mkdir()
    script = folder / "ours.py"
    script.write_text(OURS)
    command = [sys.executable, str(script), str(home), str(OURS_PORT), str(UPSTREAM_PORT)]
    bearer = lambda: f"Authorization: Bearer {(home / 'key').read_text()}"  # noqa: E731
    return Peer("firmwire", OURS_PORT, bearer, command, ROOT)


def _others(peers: Path | None, folder: Path) -> list[Peer]:
    """Those whose program and configuration are there, each in a copy of its folder."""
    if peers is None:
        return []
    key = lambda: "X-Api-Key: k_test"  # noqa: E731
    known = (
        ("nginx + Lua", "nginx-lua", 8200, ["nginx", "-p", "{here}", "-c", "nginx.conf",
                                            "-g", "daemon off;"]),
        ("haproxy", "haproxy", 8210, ["haproxy", "-f", "haproxy.cfg", "-db"]),
        ("Envoy", "envoy", 8240, ["envoy", "-c", "envoy.yaml", "--concurrency", "1", "-l", "off"]),
    )  # fmt: skip
    found = []
    for name, where, port, command in known:
        program = shutil.which(command[0]) or shutil.which(
            command[0], path=str(Path(sys.executable).parent)
        )
        if program is None or not (peers / where).is_dir():
            print(f"left out: {name}", file=sys.stderr)
            continue
        here = folder / where
        shutil.copytree(peers / where, here)
        filled = [program, *(part.replace("{here}", str(here)) for part in command[1:])]
        found.append(Peer(name, port, key, filled, here))
    return found


def _upstream(folder: Path) -> subprocess.Popen[bytes]:
    """nginx, one worker, about 300 bytes of JSON, on the load generator's core."""
    temps = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "upstream.conf"
    configuration.write_text(
        f"worker_processes 1; daemon off; pid {folder}/upstream.pid; error_log {folder}/error.log;"
        "events { worker_connections 4096; }"
        f"http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 300; {temps}"
        f"server {{ listen 127.0.0.1:{UPSTREAM_PORT}; location / {{"
        f" default_type application/json; return 200 '{BODY}'; }} }} }}"
    )
    process = _spawn(["taskset", "-c", CORE_LOAD, "nginx", "-c", str(configuration)], folder)
    _wait_for(UPSTREAM_PORT)
    return process


def _load(peer: Peer, seconds: int) -> tuple[float, float]:
    """Requests a second and p99 in milliseconds, 32 connections."""
    told = subprocess.run(
        ["taskset", "-c", CORE_LOAD, "wrk", "-t1", "-c32", f"-d{seconds}s", "--latency",
         "-H", peer.header(), f"http://127.0.0.1:{peer.port}{PATH}"],
        capture_output=True, text=True, check=True, timeout=seconds + 30,
    ).stdout  # fmt: skip
    if "Non-2xx" in told or "Socket errors" in told:
        sys.exit(f"{peer.name} did not answer 200 to all:\n{told}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])  # type: ignore[index]
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", told).groups()  # type: ignore[union-attr]
    return rate, float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def _tell(peers: list[Peer], rounds: int, seconds: int, file: Path | None) -> None:
    base = next((p for p in peers if p.name.startswith("nginx")), peers[0])
    by_round = [
        {peer.name: peer.rates[at] / base.rates[at] for peer in peers} for at in range(rounds)
    ]
    rows = {
        peer.name: {
            "requests_per_s": round(statistics.median(peer.rates)),
            "lowest": round(min(peer.rates)),
            "highest": round(max(peer.rates)),
            "p99_ms": round(statistics.median(peer.p99_ms), 2),
            "rss_mb": round(peer.rss_mb, 1),
            f"ratio_to_{base.name}": round(
                statistics.median(one[peer.name] for one in by_round), 3
            ),
        }
        for peer in peers
    }
    print(f"{'':14}{'req/s':>9}{'lowest':>9}{'highest':>9}{'p99 ms':>9}{'RSS MB':>9}{'ratio':>8}")
    for name, row in rows.items():
        print(f"{name:14}" + "".join(f"{v:>9}" for v in list(row.values())[:-1])
              + f"{list(row.values())[-1]:>8}")  # fmt: skip
    whole = {
        "case": "gateway", "rounds": rounds, "seconds": seconds, "connections": 32,
        "machine": {"cores": os.cpu_count(), "platform": platform.platform(),
                    "python": platform.python_version()},
        "load_before": os.getloadavg(), "results": rows,
    }  # fmt: skip
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(whole, indent=1) + "\n")


def _spawn(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=quiet, stderr=quiet, start_new_session=True
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """The whole session it leads: nginx and haproxy have workers."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(5)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        process.kill()


def _wait_for(port: int) -> None:
    ends = time.monotonic() + 15
    while time.monotonic() < ends:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def _rss_mb(leader: int) -> float:
    told = subprocess.run(
        ["ps", "-o", "rss=", "-g", str(leader)], capture_output=True, text=True, check=False
    ).stdout
    return sum(int(line) for line in told.split()) / 1024


if __name__ == "__main__":
    main()

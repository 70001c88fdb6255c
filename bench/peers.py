"""This file exists to start a gateway under test, one of ours or a peer, and to load it.

Owns   which core runs what: what is under test has the first, its upstream and the load generator
       (wrk) share the second. Whole sessions are ended, by the id of their leader.
Fails  exit status 3 when a program that is needed is not on this machine.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).resolve().parent.parent
PATH = "/system/v1/netsuite/erp/invoices"
UPSTREAM_PORT = 9000  # the peers' configurations name it
OURS_PORT = 8290
CORE_TESTED, CORE_LOAD = "0", "1"
CONNECTIONS = 32
BODY = (
    '{"id":"inv_0001","client":"Northwind","currency":"EUR","total":"12345.67","status":"open",'
    '"lines":[{"sku":"A1","hours":"8.0","rate":"150.00"},{"sku":"A2","hours":"7.5","rate":"150.00"},'
    '{"sku":"A3","hours":"6.0","rate":"175.00"}],"due":"2026-12-31","terms":"net30","note":"time"}'
)
# wrk waits this many milliseconds on a connection before its next request, a half more or less.
_PAUSED = """
local pause = %d
function delay() return math.random(pause // 2, pause + pause // 2) end
"""


class Load(Struct, frozen=True):
    """What wrk saw: requests a second, and how long they took."""

    rate: float
    p50_ms: float
    p99_ms: float


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
        self.half: list[Load] = []
        self.rss_mb = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """On the core under test, until it listens."""
        self.process = spawn(["taskset", "-c", CORE_TESTED, *self.command], self.folder)
        wait_for(self.port)

    def stop(self) -> None:
        """The whole session it leads: nginx and haproxy have workers."""
        if self.process is not None:
            stop(self.process)

    def look(self) -> None:
        """Resident memory of the process and its children, after the load."""
        assert self.process is not None
        told = subprocess.run(
            ["ps", "-o", "rss=", "-g", str(self.process.pid)],
            capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
        self.rss_mb = sum(int(line) for line in told.split()) / 1024


def need(*programs: str) -> None:
    """Ends this case when one is missing."""
    for program in programs:
        if shutil.which(program) is None:
            hint = "apt-get install nginx libnginx-mod-http-lua wrk"
            print(f"{program} is needed: {hint}", file=sys.stderr)
            sys.exit(3)


def ours(folder: Path, *more: str, name: str = "firmwire", port: int = OURS_PORT) -> Peer:
    """Our data plane, as bench/ours.py sets it up in a folder of its own."""
    home = folder / name.replace(" ", "-")
    home.mkdir()
    command = [sys.executable, "-m", "bench.ours", str(home), str(port), str(UPSTREAM_PORT), *more]
    bearer = lambda: f"Authorization: Bearer {(home / 'credential').read_text()}"  # noqa: E731
    return Peer(name, port, bearer, command, home)


def others(peers: Path | None, folder: Path) -> list[Peer]:
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


def upstream(folder: Path) -> subprocess.Popen[bytes]:
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
    process = spawn(["taskset", "-c", CORE_LOAD, "nginx", "-c", str(configuration)], folder)
    wait_for(UPSTREAM_PORT)
    return process


def load(peer: Peer, seconds: int, *, path: str = PATH, offered: float = 0.0) -> Load:
    """32 connections for some seconds; offered: about so many requests a second, 0 for all."""
    paused: list[str] = []
    if offered:
        script = peer.folder / "pause.lua"
        script.write_text(_PAUSED % max(1, round(1000 * CONNECTIONS / offered)))
        paused = ["-s", str(script)]
    told = subprocess.run(
        ["taskset", "-c", CORE_LOAD, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s",
         "--latency", *paused, "-H", peer.header(), f"http://127.0.0.1:{peer.port}{path}"],
        capture_output=True, text=True, check=True, timeout=seconds + 30,
    ).stdout  # fmt: skip
    if "Non-2xx" in told or "Socket errors" in told:
        sys.exit(f"{peer.name} did not answer 200 to all:\n{told}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])  # type: ignore[index]
    return Load(rate, _ms(told, 50), _ms(told, 99))


def spawn(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, quiet."""
    quiet = subprocess.DEVNULL
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=quiet, stderr=quiet, start_new_session=True
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """The whole session it leads."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(5)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        process.kill()


def wait_for(port: int) -> None:
    """Until somebody listens there; ends the case when nobody does."""
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def _ms(told: str, percent: int) -> float:
    number, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)\b", told).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]

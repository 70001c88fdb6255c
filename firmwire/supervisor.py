"""This file exists to keep the platform's processes running on one machine.

Owns   the child processes it started, and nothing else; one coloured log of what they say.
Fails  PortTaken before anything is started; NotReady when a child does not come up in time.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

from msgspec import Struct

from chassis import clock

RESTARTS_MAX = 5
RESTARTS_WINDOW_S = 60.0
STOP_WITHIN_S = 12.0
LAST_WORDS_S = 1.0

Say = Callable[[str, str], None]


class PortTaken(Exception):
    """str() names the child, the port and what to do."""


class NotReady(Exception):
    """A child that did not answer /ready in time, or crashed too often."""


class Child(Struct, frozen=True, kw_only=True):
    """name: as in `firmwire serve NAME`. port: loopback. ready_path: answers 200 when it works.

    also: other ports it listens on. after: who must be ready before it is started at all, so that
    it does not complain of what is only on its way.
    """

    name: str
    command: tuple[str, ...]
    port: int
    ready_path: str = "/ready"
    also: tuple[int, ...] = ()
    after: tuple[str, ...] = ()


class Supervisor:
    """Starts children in order, restarts one that crashes, stops them in reverse order.

    say: called with (child name, line) for every line a child writes and for our own notes.
    """

    def __init__(self, children: tuple[Child, ...], env: Mapping[str, str], say: Say) -> None:
        self._children = children
        self._env = dict(env)
        self._say = say
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._ears: dict[str, tuple[asyncio.StreamReader, asyncio.ReadTransport]] = {}
        self._resting: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.failed = asyncio.Event()

    def pid(self, name: str) -> int:
        """The process id a child has now."""
        return self._running[name].pid

    def code(self, name: str) -> int | None:
        """The status a child ended with, None while it runs."""
        return self._running[name].returncode

    async def start(self, *, ready_within_s: float = 60.0) -> None:
        """Everything up, in order; returns when all answer. On failure all are stopped again."""
        for child in self._children:
            for port in (*child.also, child.port):
                if not port_free(port):
                    raise PortTaken(
                        f"{child.name} needs port {port} on 127.0.0.1, and something else "
                        f"listens there. Stop it, or set FIRMWIRE_{child.name.upper()}_PORT."
                    )
        try:
            async with asyncio.timeout(ready_within_s):
                for child in self._children:
                    for name in child.after:
                        await self.ready(name)
                    await self._spawn(child)
                    self._watchers.append(asyncio.create_task(self._watch(child)))
                for child in self._children:
                    await self.ready(child.name)
        except TimeoutError as late:
            await self.stop()
            raise NotReady(f"not everything was ready within {ready_within_s:.0f} s") from late
        except (NotReady, OSError, asyncio.CancelledError):
            await self.stop()
            raise

    async def ready(self, name: str) -> None:
        """Wait until the child answers its ready path with 200; the caller sets the deadline."""
        child = next(c for c in self._children if c.name == name)
        while not await _answers(child.port, child.ready_path):
            if self.failed.is_set():
                raise NotReady(f"{name} crashed too often; its last lines say why")
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """SIGTERM in reverse order, SIGKILL for what is still there in the end."""
        self._stopping = True
        for watcher in self._resting:
            watcher.cancel()  # else it would start a child again behind our back
        for child in reversed(self._children):
            process = self._running.get(child.name)
            if process is None or process.returncode is not None:
                continue
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
            except TimeoutError:
                self._say(child.name, "did not stop in time and was killed")
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._watchers:  # they end by themselves once they passed on the last words
            await asyncio.wait(self._watchers, timeout=2 * LAST_WORDS_S)
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    async def _spawn(self, child: Child) -> None:
        """With a pipe of our own: asyncio's would tie the child's end to its children's."""
        ours, theirs = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *child.command,
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=theirs,
                stderr=asyncio.subprocess.STDOUT,
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._running[child.name] = process
        heard = asyncio.StreamReader(limit=1 << 20)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(heard), os.fdopen(ours, "rb", 0)
        )
        self._ears[child.name] = (heard, pipe)

    async def _watch(self, child: Child) -> None:
        """Pass on what the child says; start it again when it ends by itself."""
        crashes: list[float] = []
        while True:
            process = self._running[child.name]
            lines, pipe = self._ears[child.name]
            words = asyncio.create_task(self._pass_on(child.name, lines))
            try:
                code = await process.wait()
                # What it started may hold the pipe open; that must not keep it from being started.
                await asyncio.wait([words], timeout=LAST_WORDS_S)
            finally:
                words.cancel()
                pipe.close()
            if self._stopping:
                return
            now_s = clock.monotonic()
            crashes = [at for at in crashes if now_s - at < RESTARTS_WINDOW_S] + [now_s]
            if len(crashes) > RESTARTS_MAX:
                self._say(child.name, f"ended {len(crashes)} times within a minute; giving up")
                self.failed.set()
                return
            self._say(child.name, f"ended with {code}; starting it again")
            await self._rest(min(0.2 * 2 ** (len(crashes) - 1), 5.0))
            await self._spawn(child)

    async def _rest(self, pause_s: float) -> None:
        """Between two starts; `stop` ends it, and the watcher with it."""
        task = asyncio.current_task()
        assert task is not None
        self._resting.add(task)
        try:
            await asyncio.sleep(pause_s)
        finally:
            self._resting.discard(task)

    async def _pass_on(self, name: str, lines: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await lines.readline()
            except ValueError:
                continue  # a line longer than the limit was dropped by the stream
            if not line:
                return
            self._say(name, line.decode(errors="replace").rstrip())


async def interrupted() -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    await stop.wait()


def port_free(port: int) -> bool:
    """True when nothing on 127.0.0.1 holds the port. 0 is always free."""
    if port == 0:
        return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that are free now, all different."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return tuple(one.getsockname()[1] for one in held)
    finally:
        for one in held:
            one.close()


def serve_command(name: str) -> tuple[str, ...]:
    """How a child is started with this very interpreter."""
    return (sys.executable, "-m", "firmwire", "serve", name)


def child_environment(home: str, extra: Mapping[str, str]) -> dict[str, str]:
    """The parent's environment, what the composition decided, and always this home folder."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", **extra, "FIRMWIRE_HOME": home}


async def _answers(port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        await writer.drain()
        first = await asyncio.wait_for(reader.readline(), 2.0)
        return b" 200 " in first
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()

"""Runs one vendor's simulator: strikes its requests with faults and counts its calls.

Owns: the vendor's store, schedule and counters, and writes that commit late.
Fails: a bad Sandbox-Fault header is answered 400; what the simulator raises passes through.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, cast

import msgspec

from sandbox.faults import BadRule, Schedule
from sandbox.store import STALE_S, DocumentStore
from system_apis.simulator import Fault, Kit, Message, Receive, Reply, Send, Simulator

Scope = MutableMapping[str, Any]
CUT = "firmwire.sandbox.cut"
"""ASGI extension of sandbox.serve: a function that closes the connection without a byte."""


class LineCut(ConnectionResetError):
    """Raised where the server has no way to cut the line (a test without a socket)."""


class VendorHouse:
    """An ASGI app around a simulator's."""

    def __init__(
        self, simulator: Simulator, path: Path, clock: Callable[[], datetime], seed: int
    ) -> None:
        self.simulator = simulator
        self.store = DocumentStore(path, clock)
        self.schedule = Schedule(seed)
        self.calls: Counter[tuple[str, str, str]] = Counter()
        kit = Kit(store=self.store, faults=self.schedule, clock=clock, random=Random(seed))
        self._app = simulator.open(kit)
        self._late: dict[asyncio.Task[None], asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as well or as badly as the fault says."""
        path, method = scope["path"][len(scope["root_path"]) :], scope["method"]
        try:
            fault = self.schedule.strike(method, path, _header(scope, b"sandbox-fault"))
        except BadRule as error:
            await send_reply(send, Reply(400, str(error).encode()))
            return
        self.schedule.enter(fault)
        scope["path_params"] = {}
        if fault is None:
            await self._app(scope, receive, self._counted(scope, send))
        else:
            await self._under(fault, scope, await read_body(receive), send)

    async def close(self) -> None:
        """Commit now what would have been late, then let go of the store."""
        for hurry in self._late.values():
            hurry.set()
        await asyncio.gather(*self._late)
        self.store.close()

    def counted(self) -> list[dict[str, Any]]:
        """The counters, one row a method and path template."""
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for (method, path, outcome), times in sorted(self.calls.items()):
            new = {"method": method, "path": path, "calls": 0, "outcomes": {}}
            row = rows.setdefault((method, path), new)
            row["calls"] += times
            row["outcomes"][outcome] = times
        return list(rows.values())

    def faults(self) -> list[dict[str, Any]]:
        """The schedule, with how often each rule matched and struck."""
        counts = zip(self.schedule.matched, self.schedule.struck, strict=True)
        return [
            cast(dict[str, Any], msgspec.to_builtins(rule)) | {"matched": matched, "struck": struck}
            for rule, (matched, struck) in zip(self.schedule.rules, counts, strict=True)
        ]

    def _count(self, scope: Scope, outcome: str) -> None:
        self.calls[scope["method"], _template(scope), outcome] += 1

    def _counted(self, scope: Scope, send: Send) -> Send:
        """Count the answer once it is known, also one that never leaves."""

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(scope, str(message["status"]))
            await send(message)

        return counting

    async def _under(self, fault: Fault, scope: Scope, body: bytes, send: Send) -> None:
        cut = scope.get("extensions", {}).get(CUT, _no_line)
        counted = self._counted(scope, send)
        match fault.name:
            case "rate_limited" | "server_error" | "maintenance":
                default = {"rate_limited": "429", "server_error": "500", "maintenance": "503"}
                status = int(fault.args.get("status", default[fault.name]))
                await send_reply(counted, self.simulator.refusal(fault.name, status))
            case "cut_line" | "timeout_before" | "late_commit":
                self._count(scope, fault.name)
                if fault.name == "timeout_before":
                    await asyncio.sleep(fault.seconds("hang_s", 30.0))
                if fault.name == "late_commit":
                    self._commit_later(scope, body, fault.seconds("delay_s", 1.0))
                await cut()
            case "timeout_after_commit":
                # The hang is inside the simulator's own call, so it still holds its place there.
                hang_s = fault.seconds("hang_s", 30.0)
                await self._app(scope, _replay(body), self._counted(scope, _held(cut, hang_s)))
            case "error_after_commit":
                await self._app(scope, _replay(body), _swallow)
                status = int(fault.args.get("status", "500"))
                await send_reply(counted, self.simulator.refusal("server_error", status))
            case "latency":
                wait_s = fault.seconds("ms", 500.0) / 1000
                await self._app(scope, *_slow(body, counted, wait_s))
            case _:
                if fault.name == "stale_search":
                    STALE_S.set(fault.seconds("lag_s", 60.0))
                await self._app(scope, _replay(body), counted)

    def _commit_later(self, scope: Scope, body: bytes, delay_s: float) -> None:
        hurry = asyncio.Event()
        later = dict(scope)

        async def commit() -> None:
            with suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), delay_s)
            await self._app(later, _replay(body), self._counted(later, _swallow))

        task = asyncio.create_task(commit())
        self._late[task] = hurry
        task.add_done_callback(lambda done: self._late.pop(done, None))


def _template(scope: Scope) -> str:
    """`/invoice/17` -> `/invoice/{id}`: the route's parameters put back, the last ones first."""
    path: str = scope["path"][len(scope["root_path"]) :]
    for name, value in reversed(list(scope["path_params"].items())):
        head, found, tail = path.rpartition(str(value))
        if found and value != "":
            path = f"{head}{{{name}}}{tail}"
    return path


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


async def read_body(receive: Receive) -> bytes:
    """The whole body."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return body


def _replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _swallow(message: Message) -> None:
    """The caller hears nothing."""


def _held(cut: Callable[[], Awaitable[None]], hang_s: float) -> Send:
    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(hang_s)
            await cut()

    return send


def _slow(body: bytes, send: Send, wait_s: float) -> tuple[Receive, Send]:
    """Wait once: before the body is handed over, or before the answer of who never reads it."""
    waits = [wait_s]

    async def slow_receive() -> Message:
        if waits:
            await asyncio.sleep(waits.pop())
        return {"type": "http.request", "body": body, "more_body": False}

    async def slow_send(message: Message) -> None:
        if waits:
            await asyncio.sleep(waits.pop())
        await send(message)

    return slow_receive, slow_send


async def _no_line() -> None:
    raise LineCut("the simulated line was cut")


async def send_reply(send: Send, reply: Reply) -> None:
    """Send an answer made without an app."""
    headers = {"content-length": str(len(reply.body))} | reply.headers
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})

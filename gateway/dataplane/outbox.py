"""This file exists to send what one turn of the loop wrote together, at the end of the turn.

A write to a socket wakes whoever reads it, and waking costs more than the write. When the replies
and requests of a turn go out one right behind the other, their readers are awake after the first.
Measured with 32 connections: a third less time in the kernel, a sixth less in all.

Owns   the order: nothing else may be written to, or closed, while something for it waits here.
       So whoever writes or closes otherwise flushes first (`Downstream.write`, `settle`).
Fails  never: what is for a line that closes meanwhile is dropped, as the line's own buffer is.
"""

import asyncio

MOST = 16  # a longer turn sends in between: nobody waits for more than so many others


class Outbox:
    """Of one worker."""

    __slots__ = ("_loop", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.waiting: list[tuple[asyncio.Transport, bytes]] = []

    def add(self, transport: asyncio.Transport, data: bytes) -> None:
        """To be sent before the loop waits for anything again."""
        waiting = self.waiting
        if not waiting:
            self._loop.call_soon(self.flush)
        waiting.append((transport, data))
        if len(waiting) >= MOST:
            self.flush()

    def flush(self) -> None:
        """Now. What a write calls back may write again: that waits for the next turn."""
        waiting, self.waiting = self.waiting, []
        for transport, data in waiting:
            if not transport.is_closing():
                transport.write(data)

"""This file exists to read no more of a caller's WebSocket frames than their heads.

Owns   how large a message gets, and how many frames begin in a second.
Fails  BadFrame.
Source RFC 6455 section 5.2 (frames).
"""

from chassis import clock
from gateway.metering.gauges import Rate
from gateway.metering.limit import Limit
from gateway.metering.periods import NS

_CONTINUES = 0
_CONTROLS_FROM = 8


class BadFrame(Exception):
    """What came is not a frame, or more of a message than is taken."""


class Frames:
    """Of one tunnel. most_bytes: of a message. per_s: frames, so many at once; 0 for any number.

    wait_s: after `feed` did not let all pass, until the next frame may.
    """

    __slots__ = ("_head", "_left_bytes", "_message_bytes", "_most_bytes", "_rate", "wait_s")

    def __init__(self, most_bytes: int, per_s: int = 0) -> None:
        self._most_bytes = most_bytes
        self._rate = Rate(Limit(name="messages", kind="rate", amount=per_s)) if per_s else None
        self._head = b""
        self._left_bytes = self._message_bytes = 0
        self.wait_s = 0.0

    def feed(self, data: bytes) -> int:
        """How many bytes may go on now; raises BadFrame before anything of the frame goes on."""
        at, end = 0, len(data)
        while at < end:
            if self._left_bytes:
                step = min(self._left_bytes, end - at)
                self._left_bytes -= step
                at += step
                continue
            head = self._head + data[at : at + 14 - len(self._head)]
            need = _head_bytes(head)
            if len(head) < need:
                self._head = head
                return end
            if not self._may():
                return at
            at += need - len(self._head)
            self._head = b""
            self._begin(head[:need])
        return end

    def _may(self) -> bool:
        if self._rate is None:
            return True
        now_ns = int(clock.monotonic() * NS)
        wait_ns = self._rate.wait(1, now_ns)
        if wait_ns:
            self.wait_s = wait_ns / NS
            return False
        self._rate.take(1, now_ns)
        return True

    def _begin(self, head: bytes) -> None:
        if not head[1] & 0x80:
            raise BadFrame("A caller's frames are masked.")
        short = head[1] & 0x7F
        length = short if short < 126 else int.from_bytes(head[2 : 4 if short == 126 else 10])
        code = head[0] & 0x0F
        if code < _CONTROLS_FROM:
            before = self._message_bytes if code == _CONTINUES else 0
            self._message_bytes = before + length
            if self._message_bytes > self._most_bytes:
                raise BadFrame(f"At most {self._most_bytes} bytes a message are taken.")
        elif length > 125:
            raise BadFrame("A control frame has at most 125 bytes.")
        self._left_bytes = length


def _head_bytes(head: bytes) -> int:
    """How long a frame's head is, as far as can be told."""
    if len(head) < 2:
        return 2
    short = head[1] & 0x7F
    longer = 2 if short == 126 else 8 if short == 127 else 0
    return 2 + longer + (4 if head[1] & 0x80 else 0)

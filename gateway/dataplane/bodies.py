"""This file exists to hold a whole body for a policy that rewrites it, and no longer than needed.

Owns   the only place where a body is collected; everywhere else it streams.
Fails  what the policy answers; INTERNAL when it breaks; ValueError for a reply that is too large.
"""

from collections.abc import Callable

from contracts.problem import Fault, Problem
from gateway.dataplane import replies
from gateway.policy import Exchange, Reply

REPLY_BYTES = 8_000_000
_BROKEN = Problem(Fault.INTERNAL, "An unexpected error; it is logged.")


class HeldReply:
    """An upstream's reply until it is whole. lines: as written for the wire, four pieces each."""

    __slots__ = ("lines", "pieces", "size_bytes", "status")

    def __init__(self, status: int, lines: list[bytes]) -> None:
        self.status = status
        self.lines = lines
        self.pieces: list[bytes] = []
        self.size_bytes = 0

    def add(self, piece: bytes) -> None:
        """Bounded: what does not fit is no reply to rewrite."""
        self.size_bytes += len(piece)
        if self.size_bytes > REPLY_BYTES:
            raise ValueError(f"a reply to rewrite of more than {REPLY_BYTES} bytes")
        self.pieces.append(piece)

    def reply(self) -> Reply:
        """For the policy."""
        lines = self.lines
        names = (name.lower() for name in lines[1::4])
        return Reply(self.status, list(zip(names, lines[3::4], strict=True)), b"".join(self.pieces))


def on_the_wire(x: Exchange) -> bytes:
    """What of the body came before there was a line to send it on, framed; it is held no more."""
    held, x.held = x.held, None
    body = b"".join(held) if held is not None else b""
    if not x.chunked:
        return body
    end = b"0\r\n\r\n" if x.request_done else b""
    return b"%x\r\n%b\r\n%b" % (len(body), body, end) if body else end


def rewrite_request(x: Exchange) -> Problem | None:
    """The body is whole: let the policy rewrite it."""
    rewrite = x.rewrite_request
    assert rewrite is not None
    held, x.held = x.held, None
    made = rewrite(x, b"".join(held) if held is not None else b"")
    if isinstance(made, Problem):
        return made
    x.chunked = x.collecting = False
    x.length_bytes = len(made)
    x.held = [made] if made else None
    return None


def rewritten(x: Exchange, held: HeldReply, crashed: Callable[[BaseException], None]) -> bytes:
    """The bytes for the caller: the reply as the policy wants it."""
    rewrite = x.rewrite_reply
    assert rewrite is not None
    try:
        made = rewrite(x, held.reply())
    except Exception as error:  # house: except one bad translation is one 500, not a dead line
        crashed(error)
        return replies.refusal(x, _BROKEN)
    return replies.whole(x, made.status, made.headers, made.body)

"""This file exists to carry the W3C trace context in and out.

Owns   the reading and making of `traceparent`. Recording is `chassis/spans.py`'s.
Fails  never: a header that cannot be read starts a new trace.
Source W3C Trace Context, version 00, section 3.2.
"""

import os
import re

from msgspec import Struct

HEADER = "traceparent"
_FORM = re.compile(r"^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?\Z")


class Trace(Struct, frozen=True):
    """trace_id: 32 hex digits. span_id: 16 hex digits. sampled: somebody records this trace.

    begun_here: there is no span of this id, so nothing recorded may name it as its parent.
    """

    trace_id: str
    span_id: str
    sampled: bool = True
    begun_here: bool = False

    def header(self) -> str:
        """As `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def child(self) -> "Trace":
        """The same trace, a new span."""
        return Trace(self.trace_id, os.urandom(8).hex(), self.sampled)


def begin() -> Trace:
    """A new trace."""
    return Trace(os.urandom(16).hex(), os.urandom(8).hex(), begun_here=True)


def received(header: str | None) -> Trace:
    """The caller's trace, or a new one when the header is missing or malformed."""
    found = _FORM.match(header) if header else None
    if found is None or found[1] == "0" * 32 or found[2] == "0" * 16:
        return begin()
    return Trace(found[1], found[2], bool(int(found[3], 16) & 1))

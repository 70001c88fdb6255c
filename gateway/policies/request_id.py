"""This file exists to give every exchange an id and a place in a trace.

Reads   request
Writes  request_id, trace
Fails   never: an id that is not plain is replaced.
Source  W3C Trace Context, section 3.2 (traceparent), level 2, 2024.
"""

import os
import re

from msgspec import Struct

from gateway.policy import Exchange, Policy, Stage, Tools

_PLAIN = re.compile(rb"[A-Za-z0-9._-]{8,64}").fullmatch
_TRACE = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})").fullmatch
_PAGE_BYTES = 24 * 170  # a trace id of 16 bytes and a span id of 8 for each request
_UP = b"firmwire-request-id: %b\r\ntraceparent: %b\r\n"
_DOWN = b"firmwire-request-id: %b\r\n"


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """adopt: take over the caller's own id when it is plain."""

    adopt: bool = True


class _RequestId:
    """Random bytes are drawn by the page: one system call for some hundred requests."""

    def __init__(self, config: Config, tools: Tools) -> None:
        self._adopt = config.adopt
        self._page = b""
        self._at = 0

    def on_request(self, x: Exchange) -> None:
        at = self._at
        page = self._page
        if at >= len(page):
            page = self._page = os.urandom(_PAGE_BYTES).hex().encode()
            at = 0
        self._at = at + 48
        # A minted id is the trace id too: one thing less to look up.
        x.request_id = trace = page[at : at + 32]
        span = page[at + 32 : at + 48]
        known = x.known
        if b"traceparent" in known or b"firmwire-request-id" in known:
            self._given(x, span)
            return
        x.trace = b"".join((b"00-", trace, b"-", span, b"-01"))
        x.up_lines += _UP % (trace, x.trace)
        x.down_lines += _DOWN % trace

    def _given(self, x: Exchange, span: bytes) -> None:
        """A caller that has an id or a trace already keeps them, when they are plain."""
        minted = x.request_id
        given = x.known.get(b"firmwire-request-id")
        if given is not None and self._adopt and _PLAIN(given):
            x.request_id = given
        parent = x.known.get(b"traceparent")
        found = _TRACE(parent) if parent is not None else None
        trace, flags = (found[1], found[2]) if found else (minted, b"01")
        x.trace = b"00-%b-%b-%b" % (trace, span, flags)
        x.up_lines += _UP % (x.request_id, x.trace)
        x.down_lines += _DOWN % x.request_id


POLICY = Policy(
    stage=Stage.TRACE,
    config=Config,
    bind=_RequestId,
    reads=frozenset({"request"}),
    writes=frozenset({"request_id", "trace"}),
    always=True,
)

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
_POOL_BYTES = 4096


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """adopt: take over the caller's own id when it is plain."""

    adopt: bool = True


class _RequestId:
    """Random bytes are drawn by the page: one system call for some hundred requests."""

    def __init__(self, config: Config, tools: Tools) -> None:
        self._adopt = config.adopt
        self._pool = b""
        self._at = 0

    def on_request(self, x: Exchange) -> None:
        known = x.known
        at = self._at
        if at + 48 > len(self._pool):
            self._pool = os.urandom(_POOL_BYTES).hex().encode()
            at = 0
        self._at = at + 48
        trace, span = self._pool[at : at + 32], self._pool[at + 32 : at + 48]
        given = known.get(b"firmwire-request-id")
        # A minted id is the trace id too: one thing less to look up.
        x.request_id = given if given is not None and self._adopt and _PLAIN(given) else trace
        parent = known.get(b"traceparent")
        found = _TRACE(parent) if parent is not None else None
        if found:
            x.trace = b"00-%b-%b-%b" % (found[1], span, found[2])
        else:
            x.trace = b"00-%b-%b-01" % (trace, span)
        x.up_lines += b"firmwire-request-id: %b\r\ntraceparent: %b\r\n" % (x.request_id, x.trace)
        x.down_lines += b"firmwire-request-id: %b\r\n" % x.request_id


POLICY = Policy(
    stage=Stage.TRACE,
    config=Config,
    bind=_RequestId,
    reads=frozenset({"request"}),
    writes=frozenset({"request_id", "trace"}),
    always=True,
)

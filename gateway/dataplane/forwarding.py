"""This file exists to write the head of the request that goes on to a tier.

Owns   what a tier learns from us: who calls, from where, in which trace, and by when to answer.
Fails  never.
Source RFC 9112 section 3; architecture.md, headers that travel.
"""

from typing import Protocol

from gateway.dataplane.compiled import Use
from gateway.policy import Caller, Exchange


class Proves(Protocol):
    """Who signs for callers: the worker."""

    def proof(self, caller: Caller) -> bytes: ...


def head(x: Exchange, use: Use, forwarded: bytes, signer: Proves) -> tuple[bytes, bytes]:
    """What stands before and after the upstream's own host line. forwarded: X-Forwarded lines."""
    rest = [x.forward, forwarded]
    for name, value in x.up:
        rest += (name, b": ", value, b"\r\n")
    if (caller := x.caller) is not None:
        fresh = x.started_s < caller.proof_until_s
        rest.append(caller.proof if fresh else signer.proof(caller))
    if x.deadline_s == x.started_s + use.deadline_s:
        rest.append(use.deadline_line)
    else:
        left_ms = int((x.deadline_s - x.started_s) * 1000)
        rest.append(b"firmwire-deadline-ms: %d\r\n" % max(1, left_ms))
    if x.chunked:
        rest.append(b"transfer-encoding: chunked\r\n\r\n")
    elif x.length_bytes or b"content-length" in x.known:
        rest.append(b"content-length: %d\r\n\r\n" % x.length_bytes)
    else:
        rest.append(b"\r\n")
    return x.method + b" " + x.target, b"".join(rest)


def lines(client: str, scheme: bytes) -> bytes:
    """Who calls from where, as every tier reads it."""
    return b"x-forwarded-for: %b\r\nx-forwarded-proto: %b\r\n" % (client.encode(), scheme)


def budget_s(told: bytes, use: Use) -> float:
    """Seconds for the reply to begin: the route's, or less when the caller says so."""
    if told.isdigit() and len(told) <= 9:
        return min(use.deadline_s, int(told) / 1000)
    return use.deadline_s

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


def head(x: Exchange, use: Use, forwarded: bytes, signer: Proves) -> bytes:
    """What stands behind the upstream's own host line. forwarded: X-Forwarded lines."""
    up = x.up_lines
    if x.up:
        up += b"".join([b"%b: %b\r\n" % pair for pair in x.up])
    proof = b""
    if (caller := x.caller) is not None:
        proof = caller.proof if x.started_s < caller.proof_until_s else signer.proof(caller)
    if x.deadline_s == x.started_s + use.deadline_s:
        deadline = use.deadline_line
    else:
        left_ms = int((x.deadline_s - x.started_s) * 1000)
        deadline = b"firmwire-deadline-ms: %d\r\n" % max(1, left_ms)
    if x.chunked:
        end = b"transfer-encoding: chunked\r\n\r\n"
    elif x.length_bytes or b"content-length" in x.known:
        end = b"content-length: %d\r\n\r\n" % x.length_bytes
    else:
        end = b"\r\n"
    return b"".join((x.forward, forwarded, up, proof, deadline, end))


def lines(client: str, scheme: bytes) -> bytes:
    """Who calls from where, as every tier reads it."""
    return b"x-forwarded-for: %b\r\nx-forwarded-proto: %b\r\n" % (client.encode(), scheme)


def budget_s(told: bytes, use: Use) -> float:
    """Seconds for the reply to begin: the route's, or less when the caller says so."""
    if told.isdigit() and len(told) <= 9:
        return min(use.deadline_s, int(told) / 1000)
    return use.deadline_s

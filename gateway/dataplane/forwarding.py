"""This file exists to write the head of the request that goes on to a tier.

Owns   what a tier learns from us: who calls, from where, in which trace, and by when to answer.
Fails  never.
Source RFC 9112 section 3; architecture.md, headers that travel.
"""

from typing import Protocol

from gateway.dataplane.compiled import Use
from gateway.policy import Caller, Exchange

_Made = tuple[Use, bytes, bytes, bytes]  # for what, with which proof, of which headers: the lines


class Proves(Protocol):
    """Who signs for callers: the worker."""

    def proof(self, caller: Caller) -> bytes: ...


def head(x: Exchange, use: Use, forwarded: bytes, signer: Proves) -> bytes:
    """What stands behind the upstream's own host line. forwarded: X-Forwarded lines.

    First what is this request's own, then what it may share with those of equal headers.
    """
    own = x.up_lines
    if x.up:
        own += b"".join([b"%b: %b\r\n" % pair for pair in x.up])
    proof = b""
    if (caller := x.caller) is not None:
        proof = caller.proof if x.started_s < caller.proof_until_s else signer.proof(caller)
    forward = x.forward
    if x.length_bytes:
        return own + _shared(x, use, forwarded, proof)
    made: _Made | None = x.memo.get("forwarding")
    if made is None or made[0] is not use or made[1] is not proof or made[2] is not forward:
        made = use, proof, forward, _shared(x, use, forwarded, proof)
        x.memo["forwarding"] = made
    return own + made[3]


def _shared(x: Exchange, use: Use, forwarded: bytes, proof: bytes) -> bytes:
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
    return b"".join((x.forward, forwarded, proof, deadline, end))


def lines(client: str, scheme: bytes) -> bytes:
    """Who calls from where, as every tier reads it."""
    return b"x-forwarded-for: %b\r\nx-forwarded-proto: %b\r\n" % (client.encode(), scheme)


def budget_s(told: bytes, use: Use) -> float:
    """Seconds for the reply to begin: the route's, or less when the caller says so."""
    if told.isdigit() and len(told) <= 9:
        return min(use.deadline_s, int(told) / 1000)
    return use.deadline_s

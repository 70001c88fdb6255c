"""This file exists to tell the control plane, provably, from where a request came to the gateway.

Owns   the header `firmwire-door`: the caller's address, the thumbprint of its certificate and what
       that calls itself, as the data plane saw them, sealed with a pepper both planes have.
Fails  never: a seal that does not hold is as if there were none.
Source RFC 9440 solves the same for one trusted proxy; here nobody is trusted by address.
"""

import hmac
from base64 import urlsafe_b64decode
from collections.abc import Callable

import msgspec
from msgspec import Struct

from gateway.identity.jose import b64
from gateway.keys import Peppers, hasher

HEADER = "firmwire-door"
FRESH_S = 30
NAMES_CHARS = 4_000


class Came(Struct, frozen=True):
    """client: address. certificate: SHA-256, base64url; empty when none was shown; names: see
    certificates.names. public: by way of the data plane.
    """

    client: str
    certificate: str = ""
    public: bool = False
    names: tuple[str, ...] = ()


def sealed(
    hashed: Callable[[bytes], bytes],
    client: str,
    certificate: bytes,
    now_s: float,
    names: tuple[str, ...] = (),
) -> bytes:
    """The header's value. Who calls itself more than fits is known by its thumbprint only."""
    thumbprint = b64(certificate) if certificate else ""
    called = b64(msgspec.json.encode(names)) if names else ""
    if len(called) > NAMES_CHARS:
        called = ""
    said = f"{client}|{thumbprint}|{called}|{int(now_s)}".encode()
    return said + b"|" + b64(hashed(b"door " + said)).encode()


def opened(value: str, peppers: Peppers, now_s: float) -> Came | None:
    """Where it came from; None when nobody of ours says so, or not just now."""
    said, _, seal = value.rpartition("|")
    parts = said.split("|")
    if len(parts) != 4 or not parts[3].isdigit() or abs(now_s - int(parts[3])) > FRESH_S:
        return None
    holds = any(
        hmac.compare_digest(b64(hasher(secret)(b"door " + said.encode())).encode(), seal.encode())
        for secret in peppers.secrets.values()
    )
    if not holds:
        return None
    names = (
        msgspec.json.decode(urlsafe_b64decode(f"{parts[2]}=="), type=tuple[str, ...])
        if parts[2]
        else ()
    )
    return Came(parts[0], parts[1], True, names)

"""This file exists to tell the control plane, provably, from where a request came to the gateway.

Owns   the header `firmwire-door`: the caller's address and the thumbprint of its certificate, as
       the data plane saw them, sealed with a pepper both planes have.
Fails  never: a seal that does not hold is as if there were none.
Source RFC 9440 solves the same for one trusted proxy; here nobody is trusted by address.
"""

import hmac
from collections.abc import Callable

from msgspec import Struct

from gateway.identity.jose import b64
from gateway.keys import Peppers, hasher

HEADER = "firmwire-door"
FRESH_S = 30


class Came(Struct, frozen=True):
    """client: address. certificate: SHA-256, base64url; empty when none was shown. public: by way
    of the data plane.
    """

    client: str
    certificate: str = ""
    public: bool = False


def sealed(
    hashed: Callable[[bytes], bytes], client: str, certificate: bytes, now_s: float
) -> bytes:
    """The header's value."""
    said = f"{client}|{b64(certificate) if certificate else ''}|{int(now_s)}".encode()
    return said + b"|" + b64(hashed(b"door " + said)).encode()


def opened(value: str, peppers: Peppers, now_s: float) -> Came | None:
    """Where it came from; None when nobody of ours says so, or not just now."""
    said, _, seal = value.rpartition("|")
    parts = said.split("|")
    if len(parts) != 3 or not parts[2].isdigit() or abs(now_s - int(parts[2])) > FRESH_S:
        return None
    holds = any(
        hmac.compare_digest(b64(hasher(secret)(b"door " + said.encode())).encode(), seal.encode())
        for secret in peppers.secrets.values()
    )
    return Came(parts[0], parts[1], True) if holds else None

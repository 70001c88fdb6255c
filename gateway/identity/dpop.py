"""This file exists to believe a caller that it holds the key its token is bound to (DPoP).

Owns   what a proof must say, and the nonces it may be asked for. That it counts once is for
       whoever remembers (proofs.py, and the database at the token endpoint).
Fails  Unfit, for our own eyes only.
Source RFC 9449 sections 4.3 (checking), 8 and 9 (nonces), 11.1 (replay), RFC 7638 (thumbprint).
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from gateway.identity.jose import Unfit, b64, public_key, taken_apart

WINDOW_S = 60
LEEWAY_S = 5
ID_BYTES = 16
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Proof(Struct, frozen=True):
    """thumbprint: of the key that made it. id: it must not be taken a second time."""

    thumbprint: str
    id: bytes
    issued_s: int
    nonce: str = ""


class Nonces:
    """One a minute, the same at every worker of every gateway with these peppers: nothing is kept,
    and nobody can know one before its time. hashers: of the peppers, the current one first.
    """

    def __init__(self, hashers: Sequence[Callable[[bytes], bytes]]) -> None:
        self._hashers = hashers

    def at(self, now_s: float) -> str:
        """To be told."""
        return _nonce(self._hashers[0], int(now_s) // WINDOW_S)

    def holds(self, nonce: str, now_s: float) -> bool:
        """This minute's, or that of one beside it: clocks differ, and requests travel."""
        minute = int(now_s) // WINDOW_S
        return any(
            _same(nonce, _nonce(hashed, minute + ago))
            for hashed in self._hashers
            for ago in (0, -1, 1)
        )


def checked(
    proof: bytes, *, method: str, host: str, path: str, token: bytes | None, now_s: float
) -> Proof:
    """A proof made for this request, now. token: which it goes with, if any."""
    parsed = taken_apart(proof, allowed=frozenset({"jwk"}))
    claims = parsed.claims
    if parsed.header.get("typ") != "dpop+jwt":
        raise Unfit("typ")
    jwk = parsed.header.get("jwk")
    if not isinstance(jwk, dict):
        raise Unfit("jwk")
    issued_s, jti, nonce = claims.get("iat"), claims.get("jti"), claims.get("nonce", "")
    if type(issued_s) is not int or not now_s - WINDOW_S < issued_s <= now_s + LEEWAY_S:
        raise Unfit("iat")
    if not isinstance(jti, str) or not 0 < len(jti) <= 256:
        raise Unfit("jti")
    if not isinstance(nonce, str):
        raise Unfit("nonce")
    if claims.get("htm") != method or _place(claims.get("htu")) != _here(host, path):
        raise Unfit("made for another request")
    if token is not None and not _same(claims.get("ath"), b64(hashlib.sha256(token).digest())):
        raise Unfit("made for another token")
    key = public_key(jwk, kid="")
    key.verify(parsed)
    thumbprint = str(key.key.thumbprint())
    id = hashlib.sha256(f"{thumbprint} {jti}".encode()).digest()[:ID_BYTES]
    return Proof(thumbprint, id, issued_s, nonce)


def _nonce(hashed: Callable[[bytes], bytes], minute: int) -> str:
    return b64(hashed(b"dpop nonce %d" % minute)[:ID_BYTES])


def _same(given: object, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), expected.encode())


def _place(htu: object) -> tuple[str, str]:
    """Host and path of an address; its scheme ends before us where TLS does."""
    if not isinstance(htu, str):
        raise Unfit("htu")
    try:
        parts = urlsplit(htu)
        host = parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme.lower(), "-"))
    except ValueError as error:
        raise Unfit("htu") from error
    if parts.scheme.lower() not in _DEFAULT_PORTS or not host or "@" in host:
        raise Unfit("htu")
    if parts.query or parts.fragment:
        raise Unfit("htu with a query")
    return host, _normal(parts.path or "/")


def _here(host: str, path: str) -> tuple[str, str]:
    host = host.lower()
    for port in _DEFAULT_PORTS.values():
        host = host.removesuffix(port)
    return host, _normal(path)


def _normal(path: str) -> str:
    """RFC 3986 section 6.2.2: escapes in capitals, none where none is needed."""

    def one(found: re.Match[str]) -> str:
        char = chr(int(found[0][1:], 16))
        return char if char in _UNRESERVED else found[0].upper()

    return _ESCAPE.sub(one, path)

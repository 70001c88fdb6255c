"""This file exists to read signed tokens strictly, and to hold keys whose algorithm is fixed.

Owns   what a compact JWS may look like, and which keys are fit to verify one. The token never
       chooses: not the algorithm, not the key's address, not an extension.
Fails  Unfit, which says why for our own eyes only.
Source RFC 7515 sections 3.1 and 4.1.11, RFC 7517, RFC 8725 (best practice), RFC 9864 (EdDSA).
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from msgspec import Struct

TOKEN_BYTES = 4_096
RSA_BITS = 2_048
RSA_BITS_MOST = 4_096
_FORBIDDEN = frozenset({"crit", "jku", "x5u", "x5c", "jwk", "b64", "zip", "enc"})
_ALGORITHMS = JWSRegistry.algorithms


class Unfit(ValueError):
    """Not a token, not a key, or not one for us."""


class Signed(Struct, frozen=True):
    """A token taken apart, its signature not yet looked at."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


class PublicKey(Struct, frozen=True):
    """algorithms: the names tokens may say for the one this key is for."""

    kid: str
    algorithms: tuple[str, ...]
    key: ECKey | OKPKey | RSAKey

    def verify(self, token: Signed) -> None:
        """Unfit unless this key signed it, with this key's algorithm."""
        named = token.header.get("alg")
        if named not in self.algorithms:
            raise Unfit(f"alg {named!r} is not what the key {self.kid} is for")
        # RFC 9864 renamed EdDSA on this curve; the mathematics is the same.
        model = _ALGORITHMS["Ed25519" if named == "EdDSA" else named]
        try:
            holds = model.verify(token.signed, token.signature, self.key)
        except (JoseError, ValueError) as error:
            raise Unfit(repr(error)) from error
        if not holds:
            raise Unfit("the signature does not hold")


def taken_apart(token: bytes, *, allowed: frozenset[str] = frozenset()) -> Signed:
    """allowed: header members otherwise forbidden that this kind of token needs."""
    if len(token) > TOKEN_BYTES:
        raise Unfit("too long")
    parts = token.split(b".")
    if len(parts) != 3:
        raise Unfit("not three parts")
    header = _object(_decoded(parts[0]))
    if refused := (_FORBIDDEN - allowed) & header.keys():
        raise Unfit(f"header members {sorted(refused)}")
    claims = _object(_decoded(parts[1]))
    return Signed(header, claims, parts[0] + b"." + parts[1], _decoded(parts[2]))


def keys_of(jwks: Iterable[Mapping[str, Any]]) -> dict[str, PublicKey]:
    """By kid; what is malformed, private, for encryption or too weak is left out."""
    found: dict[str, PublicKey] = {}
    for each in jwks:
        try:
            key = public_key(each)
        except Unfit:
            continue
        found.setdefault(key.kid, key)
    return found


def public_key(jwk: Mapping[str, Any], *, kid: str | None = None) -> PublicKey:
    """Of one JWK. kid: where the key itself needs none."""
    kid = kid if kid is not None else jwk.get("kid")
    if not isinstance(kid, str) or len(kid) > 256:
        raise Unfit("no kid")
    if {"d", "k", "p", "q"} & jwk.keys():
        raise Unfit("a secret key")
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ("verify",)):
        raise Unfit("not for verifying")
    algorithms, kind = _kind(jwk)
    if kind is RSAKey and not RSA_BITS <= _bits(jwk.get("n")) <= RSA_BITS_MOST:
        raise Unfit("an RSA key this short is no key, and one this long is an attack")
    try:
        key = kind.import_key({name: jwk[name] for name in _MEMBERS[kind]})
    except (JoseError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise Unfit(repr(error)) from error
    return PublicKey(kid, algorithms, key)


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


_MEMBERS: dict[Any, tuple[str, ...]] = {
    ECKey: ("kty", "crv", "x", "y"),
    OKPKey: ("kty", "crv", "x"),
    RSAKey: ("kty", "n", "e"),
}


def _kind(jwk: Mapping[str, Any]) -> tuple[tuple[str, ...], type[ECKey | OKPKey | RSAKey]]:
    said = jwk.get("alg")
    match jwk.get("kty"), jwk.get("crv"):
        case "EC", "P-256" if said in (None, "ES256"):
            return ("ES256",), ECKey
        case "OKP", "Ed25519" if said in (None, "EdDSA", "Ed25519"):
            return ("EdDSA", "Ed25519"), OKPKey
        case "RSA", None if said in (None, "RS256", "PS256") and jwk.get("e") == "AQAB":
            return (said or "RS256",), RSAKey
    raise Unfit("a kind of key that is not taken here")


def _bits(number: object) -> int:
    return int.from_bytes(_decoded(number.encode())).bit_length() if isinstance(number, str) else 0


def _decoded(part: bytes) -> bytes:
    """Strict: one text for one value, so that a token has one form."""
    try:
        raw = base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise Unfit("not base64url") from error
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != part:
        raise Unfit("not canonical base64url")
    return raw


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Unfit("not JSON") from error
    if not isinstance(found, dict):
        raise Unfit("not a JSON object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unfit("a member twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise Unfit(f"{name} is not JSON")

"""This file exists to prove inside the house who is calling: short signed assertions, ES256.

Owns   key files `identity/<issuer>.key.json` (0600) and the public `identity.jwks.json`
       under the home folder; caches of signed and verified assertions.
Fails  UNAUTHENTICATED (Verifier). FileNotFoundError when a home has no keys yet.
Source RFC 7519 (JWT), RFC 7517 (JWK), RFC 7638 (thumbprint), RFC 8725 (best practice).
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from chassis import clock
from contracts.principal import Principal
from contracts.problem import Fault, Problem

HEADER = "firmwire-identity"
AUDIENCE = "firmwire"
ISSUERS = ("gateway", "process", "experience", "firmwire")
LIFE_S = 60
REUSE_S = 30
_LEEWAY_S = 5
_CACHE_MAX = 10_000


class Signer:
    """Speaks for one issuer. key: its private EC key on P-256."""

    def __init__(self, issuer: str, key: ECKey) -> None:
        self.issuer = issuer
        self._key = key
        self._header = {"alg": "ES256", "typ": "JWT", "kid": _kid(issuer, key)}
        self._made: dict[tuple[str, frozenset[str], str], tuple[str, float]] = {}

    @classmethod
    def of(cls, home: Path, issuer: str) -> "Signer":
        """From the key file of an issuer; `ensure` makes it."""
        return cls(issuer, _key_in(_key_file(home, issuer)))

    def assertion(self, subject: str, scopes: Iterable[str], *, actor: str = "") -> str:
        """A signed statement who is calling; the same one is handed out for up to 30 seconds."""
        granted = scopes if isinstance(scopes, frozenset) else frozenset(scopes)
        who = (subject, granted, actor)
        ready = self._made.get(who)
        now_s = clock.now().timestamp()
        if ready is not None and now_s < ready[1]:
            return ready[0]
        claims: dict[str, Any] = {
            "iss": self.issuer, "sub": subject, "aud": AUDIENCE, "scope": " ".join(sorted(granted)),
            "iat": int(now_s), "exp": int(now_s) + LIFE_S,
        }  # fmt: skip
        if actor:
            claims["act"] = {"sub": actor}
        token = jwt.encode(dict(self._header), claims, self._key, algorithms=["ES256"])
        if len(self._made) >= _CACHE_MAX:
            self._made.clear()
        self._made[who] = (token, now_s + REUSE_S)
        return token


class Verifier:
    """Trusts the issuers of one JWKS file. Reads it again when a key is unknown and it changed."""

    def __init__(self, jwks: Path) -> None:
        self._file = jwks
        self._keys: dict[str, ECKey] = {}
        self._read_ns = -1
        self._known: dict[str, tuple[Principal, float]] = {}
        self._read()

    def principal(self, assertion: str) -> Principal:
        """Who is calling. Raises UNAUTHENTICATED, never saying why to the caller."""
        known = self._known.get(assertion)
        now_s = clock.now().timestamp()
        if known is not None:
            if now_s < known[1]:
                return known[0]
            del self._known[assertion]
        principal, until_s = self._verify(assertion, now_s)
        if len(self._known) >= _CACHE_MAX:
            self._known.clear()
        self._known[assertion] = (principal, until_s)
        return principal

    def _verify(self, assertion: str, now_s: float) -> tuple[Principal, float]:
        try:
            token = jwt.decode(assertion, self._key, algorithms=["ES256"])
        except (JoseError, ValueError, KeyError) as error:
            raise _refused(repr(error)) from error
        claims = token.claims
        issuer, subject, scope = claims.get("iss"), claims.get("sub"), claims.get("scope", "")
        issued_s, until_s = claims.get("iat"), claims.get("exp")
        if not (isinstance(issued_s, int) and isinstance(until_s, int)):
            raise _refused("iat or exp is missing")
        if not (isinstance(issuer, str) and isinstance(subject, str) and isinstance(scope, str)):
            raise _refused("iss, sub or scope is missing")
        if token.header.get("kid", "").partition(":")[0] != issuer:
            raise _refused("signed with another issuer's key")
        if claims.get("aud") != AUDIENCE:
            raise _refused("meant for someone else")
        if until_s <= now_s or issued_s > now_s + _LEEWAY_S or until_s - issued_s > LIFE_S:
            raise _refused("expired, from the future or living too long")
        actor = claims.get("act", {}).get("sub", "") if isinstance(claims.get("act"), dict) else ""
        return Principal(subject, frozenset(scope.split()), issuer, actor), float(until_s)

    def _key(self, token: Any) -> ECKey:
        kid = token.headers().get("kid", "")
        if kid not in self._keys:
            self._read()
        return self._keys[kid]

    def _read(self) -> None:
        """Nothing when the file is as it was read last."""
        changed_ns = self._file.stat().st_mtime_ns
        if changed_ns == self._read_ns:
            return
        listed = msgspec.json.decode(self._file.read_bytes())["keys"]
        self._keys = {key["kid"]: ECKey.import_key(key) for key in listed}
        self._known.clear()
        self._read_ns = changed_ns


def ensure(home: Path, issuers: Iterable[str] = ISSUERS) -> Path:
    """Make what is missing of keys and the public key file; returns the latter. May be repeated."""
    folder = home / "identity"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    jwks = jwks_file(home)
    with _alone(folder):
        public = []
        there = {file.name.removesuffix(".key.json") for file in folder.glob("*.key.json")}
        for issuer in sorted({*issuers, *there}):
            file = _key_file(home, issuer)
            if not file.exists():
                made = ECKey.generate_key("P-256")
                _write(file, msgspec.json.encode(made.as_dict(private=True)), 0o600)
            key = _key_in(file)
            kid = _kid(issuer, key)
            public.append({**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": "ES256"})
        body = msgspec.json.format(msgspec.json.encode({"keys": public}))
        if not jwks.exists() or jwks.read_bytes() != body:
            _write(jwks, body, 0o644)
    return jwks


def jwks_file(home: Path) -> Path:
    """Where the public keys of all trusted issuers lie."""
    return home / "identity.jwks.json"


def _kid(issuer: str, key: ECKey) -> str:
    return f"{issuer}:{key.thumbprint()}"


def _key_file(home: Path, issuer: str) -> Path:
    return home / "identity" / f"{issuer}.key.json"


def _key_in(file: Path) -> ECKey:
    return ECKey.import_key(msgspec.json.decode(file.read_bytes()))


def _write(file: Path, body: bytes, mode: int) -> None:
    """All or nothing, and never readable by more than mode says, not even for a moment."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
        stream.write(body)
    part.replace(file)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time makes keys: tiers start together."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refused(because: str) -> Problem:
    return Problem(Fault.UNAUTHENTICATED, "The internal identity is not valid.", because=because)

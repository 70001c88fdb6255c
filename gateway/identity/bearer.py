"""This file exists to know the caller behind an access token, at the price of a look-up.

Owns   the tokens a worker has verified, until they expire, their issuer's key goes, or they are
       revoked. Keys and revocations come with the snapshot: nothing here waits for anybody.
Fails  SnapshotRefused by `take`; a token that is not good is None, for whatever reason.
Source RFC 9068 section 4 (access tokens), RFC 7800 (cnf), RFC 8705 section 3, RFC 9449.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from contracts.principal import Principal
from gateway.identity.jose import PublicKey, Signed, Unfit, keys_of, taken_apart
from gateway.policy import Caller
from gateway.snapshot import Client, Held, Issuer, Key, Plan, Snapshot, within

LEEWAY_S = 5
LIFE_MOST_S = 24 * 3_600
_KEPT_MOST = 10_000
_ENDS_OF_TIME_S = 2**40

Make = Callable[[Key, Plan], Caller]


class Ticket(Struct, frozen=True, gc=False):
    """A token that is good until then. certificate, jkt: what the caller must prove besides."""

    caller: Caller
    until_s: int
    certificate: str = ""
    jkt: str = ""

    @property
    def free(self) -> bool:
        """Whoever holds the token may use it."""
        return not self.certificate and not self.jkt


class Token(Struct, frozen=True):
    """What a good signature vouches for."""

    issuer: str
    kid: str
    client: str
    subject: str
    scopes: tuple[str, ...] | None
    until_s: int
    jti: str
    certificate: str
    jkt: str


class Trusted(Struct, frozen=True):
    """An issuer with its keys ready."""

    issuer: Issuer
    keys: dict[str, PublicKey]


class Bearers:
    """One a worker. make: a caller of a key (here: a client) and its plan.

    unknown: external issuers that may have new keys, for the feed to tell the control plane.
    """

    def __init__(self, unix: Callable[[], float], make: Make) -> None:
        self.tickets: dict[bytes, Ticket] = {}
        self.unknown: set[str] = set()
        self._unix = unix
        self._make = make
        self._tokens: dict[bytes, Token] = {}
        self._trusted: dict[str, Trusted] = {}
        self._clients: dict[str, Client] = {}
        self._held = Held(Snapshot(0))
        self._revoked: frozenset[str] = frozenset()
        self._callers: dict[tuple[Any, ...], Caller] = {}

    def take(self, snapshot: Snapshot) -> None:
        """Of the snapshot now in force; verified tokens are judged anew, not verified anew."""
        before = self._trusted
        self._trusted = {
            issuer.issuer: trusted
            if (trusted := before.get(issuer.issuer)) is not None and trusted.issuer == issuer
            else Trusted(issuer, keys_of(issuer.keys))
            for issuer in snapshot.issuers
        }
        self._clients = {client.id: client for client in snapshot.clients}
        self._held = Held(snapshot)
        self._revoked = frozenset(snapshot.revoked)
        self._callers.clear()
        self.tickets.clear()

    def ticket(self, raw: bytes) -> Ticket | None:
        """For a token that is not among `tickets`: verify it, and remember what came of it."""
        now_s = self._unix()
        token = self._tokens.get(raw)
        try:
            if token is None:
                token = self._verified(raw, now_s)
                if len(self._tokens) >= _KEPT_MOST:
                    self._tokens.clear()
                self._tokens[raw] = token
            found = self._ticket(token)
        except Unfit:
            return None
        if len(self.tickets) >= _KEPT_MOST:
            self.tickets.clear()
        self.tickets[raw] = found
        return found

    def _verified(self, raw: bytes, now_s: float) -> Token:
        parsed = taken_apart(raw)
        trusted = self._trusted.get(_text(parsed.claims, "iss"))
        if trusted is None:
            raise Unfit("an issuer nobody trusts")
        kid = _text(parsed.header, "kid")
        key = trusted.keys.get(kid)
        if key is None:
            if trusted.issuer.consumer:
                self.unknown.add(trusted.issuer.issuer)
            raise Unfit("a key nobody knows")
        # All that is cheap comes before the signature.
        token = _judged(parsed, trusted.issuer, kid, now_s)
        key.verify(parsed)
        return token

    def _ticket(self, token: Token) -> Ticket:
        trusted = self._trusted.get(token.issuer)
        if trusted is None or token.kid not in trusted.keys:
            raise Unfit("the issuer or its key is gone")
        if token.jti in self._revoked or token.jti.partition(".")[0] in self._revoked:
            raise Unfit("revoked")
        bound = ""
        consumer, caps, plan = trusted.issuer.consumer, trusted.issuer.scopes, trusted.issuer.plan
        if not consumer:
            client = self._clients.get(token.client)
            if client is None:
                raise Unfit("a client nobody knows")
            consumer, caps, plan = client.consumer, client.scopes, client.plan
            bound = client.bound
        if (bound == "mtls" and not token.certificate) or (bound == "dpop" and not token.jkt):
            raise Unfit("this client's tokens are bound, this one is not")
        caller = self._caller(token, consumer, caps, plan)
        return Ticket(caller, token.until_s, token.certificate, token.jkt)

    def _caller(self, token: Token, consumer: str, caps: tuple[str, ...], wanted: str) -> Caller:
        who = (token.issuer, token.client, token.subject, token.scopes)
        caller = self._callers.get(who)
        if caller is None:
            plan = self._held.plan(consumer, wanted)
            if plan is None:
                raise Unfit("a consumer nobody knows")
            name = token.client or token.subject
            caller = self._make(Key(name, b"", "", consumer, ()), plan)
            caller.token = True
            # Never `scopes_of` a key: no scope in a token is none, not all of the plan.
            scopes = narrowed(token.scopes if token.scopes is not None else caps, caps, plan)
            actor = name if token.subject == name else f"{name}/{token.subject}"
            caller.principal = Principal(consumer, scopes, "gateway", actor)
            if len(self._callers) >= _KEPT_MOST:
                self._callers.clear()
            self._callers[who] = caller
        return caller


def narrowed(scopes: tuple[str, ...], caps: tuple[str, ...], plan: Plan) -> frozenset[str]:
    """What was asked for, as far as the plan holds it, and the caps where there are any."""
    granted, capped = frozenset(plan.scopes), frozenset(caps)
    return frozenset(
        scope for scope in scopes
        if within(scope, granted) and (not capped or within(scope, capped))
    )  # fmt: skip


def _judged(parsed: Signed, trusted: Issuer, kid: str, now_s: float) -> Token:
    """Everything but the signature."""
    header, claims = parsed.header, parsed.claims
    kind = _text(header, "typ").lower().removeprefix("application/")
    if kind not in trusted.types:
        raise Unfit(f"typ {kind}")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if trusted.audience not in audiences:
        raise Unfit("meant for somebody else")
    until_s, issued_s = _second(claims, "exp"), _second(claims, "iat")
    begins_s = _second(claims, "nbf") if "nbf" in claims or not trusted.consumer else issued_s
    if until_s <= now_s or max(issued_s, begins_s) > now_s + LEEWAY_S:
        raise Unfit("expired, or not yet")
    if until_s - issued_s > LIFE_MOST_S:
        raise Unfit("lives too long")
    own = not trusted.consumer
    named = "client_id" if own or "client_id" in claims else "azp"
    certificate, jkt = _confirmation(claims.get("cnf"))
    return Token(
        issuer=trusted.issuer,
        kid=kid,
        client=_text(claims, named) if own or named in claims else "",
        subject=_text(claims, "sub"),
        scopes=_scopes(claims),
        until_s=until_s,
        jti=_text(claims, "jti") if own or "jti" in claims else "",
        certificate=certificate,
        jkt=jkt,
    )


def _scopes(claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    """As RFC 8693 has it, or as some issuers do: a list, or `scp`. None: nothing is said."""
    said = claims.get("scope", claims.get("scp"))
    if said is None:
        return None
    listed = said.split() if isinstance(said, str) else said
    if not isinstance(listed, list) or not all(isinstance(scope, str) for scope in listed):
        raise Unfit("scope")
    return tuple(listed)


def _confirmation(cnf: Any) -> tuple[str, str]:
    """The thumbprints of the certificate and of the key that must be proven; at most one."""
    if cnf is None:
        return "", ""
    if not isinstance(cnf, dict) or len(cnf) != 1:
        raise Unfit("cnf")
    if "x5t#S256" in cnf:
        return _text(cnf, "x5t#S256"), ""
    return "", _text(cnf, "jkt")


def _text(given: Mapping[str, Any], name: str) -> str:
    found = given.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= 512:
        raise Unfit(f"{name} is missing or no text")
    return found


def _second(claims: Mapping[str, Any], name: str) -> int:
    found = claims.get(name)
    if type(found) is not int or not 0 <= found < _ENDS_OF_TIME_S:
        raise Unfit(f"{name} is missing or no whole second")
    return found

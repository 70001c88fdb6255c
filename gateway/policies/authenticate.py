"""This file exists to find out who is calling, by API key or by access token.

Reads   request, client
Writes  caller
Fails   UNAUTHENTICATED, in the same words for a key or token that is missing, wrong, doubled,
        revoked, expired, used from elsewhere or without its proof: nobody learns which.
        UNAVAILABLE where it cannot be known that a proof is new.
Source  RFC 6750 section 2.1 (Bearer); RFC 7617 (Basic, for pages); RFC 8705 section 3 (mTLS);
        RFC 9449 sections 7 and 9 (DPoP); RFC 9110 section 11.6.1.
"""

import hmac
from base64 import b64decode
from collections.abc import Coroutine
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from contracts.problem import Fault, Problem
from gateway.identity.dpop import Nonces, Proof, checked
from gateway.identity.jose import Unfit, b64
from gateway.identity.proofs import Forgetful, Proofs
from gateway.keys import well_formed
from gateway.policy import Caller, Exchange, Policy, Stage, Tools

if TYPE_CHECKING:
    from gateway.identity.bearer import Bearers, Ticket

_SAY = (
    "A valid API key or access token is needed: Authorization: Bearer <key or token>, "
    "X-Api-Key, or a key as Basic password."
)
_CHALLENGES = (
    (b"www-authenticate", b'Bearer realm="firmwire"'),
    (b"www-authenticate", b'DPoP realm="firmwire", algs="ES256 EdDSA"'),
    (b"www-authenticate", b'Basic realm="firmwire", charset="UTF-8"'),
)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """forms: a key as Basic password is taken with every method; then whoever is behind the route
    must tell its own forms from those of other sites. keys_only: no access tokens. dpop_nonce: a
    DPoP proof must hold a nonce of ours, so that none was made long before it is sent.
    """

    forms: bool = False
    keys_only: bool = False
    dpop_nonce: bool = False


class _Authenticate:
    def __init__(self, config: Config, tools: Tools) -> None:
        self._forms = config.forms
        self._tokens = not config.keys_only
        self._nonces = Nonces(tools.hashers) if config.dpop_nonce else None
        self._callers = tools.callers
        self._hashers = tools.hashers
        self._unix = tools.unix
        self._bearers = tools.bearers
        self._tickets = tools.bearers.tickets if tools.bearers is not None else {}
        self._proofs: Proofs = tools.memory("authenticate").setdefault("proofs", Proofs())

    def on_request(self, x: Exchange) -> Problem | Coroutine[Any, Any, Problem | None] | None:
        # Equal headers, equal snapshot: the same key or token. Only time and place are asked again.
        memo = x.memo
        found: Caller | None = memo.get("caller")
        if found is not None and (found.free or self._holds(found, x.client)):
            x.caller = found
            return None
        ticket: Ticket | None = memo.get("ticket")
        if ticket is not None and self._tokens and self._unix() < ticket.until_s:
            x.caller = ticket.caller
            return None
        given = x.known.get(b"authorization", b"")
        if not self._tokens:
            x.caller = self._keyed(x)
        elif given[7:10] == b"eyJ":  # how every JWT begins, after `Bearer `
            x.caller = self._borne(x, given)
        elif given[:5].lower() == b"dpop ":
            return self._proven(x, given[5:])
        else:
            x.caller = self._keyed(x)
        return None if x.caller is not None else _nobody(x)

    def still(self, x: Exchange) -> bool:
        """The same key or token is still good, perhaps with other rights than when it came.

        A proof was for the request that began the stream: it is not asked for again.
        """
        token = x.known.get(b"authorization", b"").partition(b" ")[2]
        if token[:3] == b"eyJ":
            ticket = self._tickets.get(token) or self._looked_at(token)
            if ticket is None or self._unix() >= ticket.until_s:
                return False
            x.caller = ticket.caller
            return True
        caller = self._keyed(x)
        if caller is None:
            return False
        x.caller = caller
        return True

    def _keyed(self, x: Exchange) -> Caller | None:
        key = _key(x.known, basic=self._forms or x.method in (b"GET", b"HEAD"))
        if key is None or not well_formed(key):
            return None
        for hashed in self._hashers:
            caller = self._callers.get(hashed(key))
            if caller is not None and (caller.free or self._holds(caller, x.client)):
                if x.known.get(b"authorization", b"")[:6].lower() != b"basic ":  # asks the method
                    x.memo["caller"] = caller
                return caller
        return None

    def _holds(self, caller: Caller, client: str) -> bool:
        if caller.expires_s and self._unix() >= caller.expires_s:
            return False
        if not caller.networks:
            return True
        address = ip_address(client.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in caller.networks)

    def _looked_at(self, token: bytes) -> "Ticket | None":
        bearers: Bearers | None = self._bearers
        return None if bearers is None else bearers.ticket(token)

    def _borne(self, x: Exchange, given: bytes) -> Caller | None:
        """A token whoever holds it may use, or whose certificate this connection has proven."""
        if given[:7].lower() != b"bearer " or b"x-api-key" in x.known:
            return None
        ticket = self._tickets.get(given[7:]) or self._looked_at(given[7:])
        if ticket is None or self._unix() >= ticket.until_s or ticket.jkt:
            return None
        if ticket.certificate and not _certified(x, ticket):
            return None
        x.memo["ticket"] = ticket
        return ticket.caller

    def _proven(
        self, x: Exchange, token: bytes
    ) -> Problem | Coroutine[Any, Any, Problem | None] | None:
        """A token bound to a key, and a proof for this very request that nobody has seen."""
        ticket = self._tickets.get(token) or self._looked_at(token)
        now_s = self._unix()
        if ticket is None or now_s >= ticket.until_s or not ticket.jkt:
            return _nobody(x)
        proof = _proof(x, token, ticket.jkt, now_s)
        if proof is not None and self._nonces is not None:
            x.down.append((b"dpop-nonce", self._nonces.at(now_s).encode()))
            if not self._nonces.holds(proof.nonce, now_s):
                return _without_nonce(x)
        try:
            if proof is None or not self._proofs.first(proof, now_s):
                return _nobody(x)
        except (Forgetful, OSError) as error:
            return _unsure(error)
        if self._proofs.shared is not None:
            return self._first_anywhere(x, ticket.caller, proof)
        x.caller = ticket.caller
        return None

    async def _first_anywhere(self, x: Exchange, caller: Caller, proof: Proof) -> Problem | None:
        try:
            if not await self._proofs.first_anywhere(proof):
                return _nobody(x)
        except Forgetful as error:
            return _unsure(error)
        x.caller = caller
        return None


def _proof(x: Exchange, token: bytes, jkt: str, now_s: float) -> Proof | None:
    """For this request, by the key the token is bound to."""
    given = x.known.get(b"dpop")
    if given is None or b"x-api-key" in x.known:
        return None
    try:
        proof = checked(
            given, method=x.method.decode(), host=x.known.get(b"host", b"").decode(),
            path=x.path.decode(), token=token, now_s=now_s,
        )  # fmt: skip
    except Unfit:
        return None
    return proof if hmac.compare_digest(proof.thumbprint.encode(), jkt.encode()) else None


def _nobody(x: Exchange) -> Problem:
    x.down.extend(_CHALLENGES)
    return Problem(Fault.UNAUTHENTICATED, _SAY)


def _without_nonce(x: Exchange) -> Problem:
    """Told only to who holds the token's key."""
    x.down.append((b"www-authenticate", b'DPoP error="use_dpop_nonce", algs="ES256 EdDSA"'))
    return Problem(Fault.UNAUTHENTICATED, "The proof needs the nonce of the header DPoP-Nonce.")


def _unsure(error: Exception) -> Problem:
    say = "Whether this proof is new cannot be known right now; nothing was done. Send a new one."
    return Problem(Fault.UNAVAILABLE, say, because=repr(error), retry_after_s=1.0)


def _certified(x: Exchange, ticket: "Ticket") -> bool:
    """The connection proved the certificate the token is bound to."""
    shown: bytes = getattr(x.link, "certificate", b"")
    return bool(shown) and hmac.compare_digest(b64(shown).encode(), ticket.certificate.encode())


def _key(known: dict[bytes, bytes], *, basic: bool) -> bytes | None:
    """The one key of a request; two are as bad as none.

    A browser sends Basic by itself, also from other sites: good for looking, never for doing.
    """
    given = known.get(b"authorization")
    plain = known.get(b"x-api-key")
    if given is None:
        return plain
    if plain is not None:
        return None
    if given[:7].lower() == b"bearer ":
        return given[7:]
    return _password(given[6:]) if basic and given[:6].lower() == b"basic " else None


def _password(credentials: bytes) -> bytes | None:
    """A browser can only ask for a name and a password; the password is the key."""
    try:
        _, _, password = b64decode(credentials, validate=True).partition(b":")
    except ValueError:
        return None
    return password


POLICY = Policy(
    stage=Stage.IDENTIFY,
    config=Config,
    bind=_Authenticate,
    reads=frozenset({"request", "client"}),
    writes=frozenset({"caller"}),
    asynchronous=True,
)

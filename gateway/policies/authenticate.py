"""This file exists to find out who is calling, by API key.

Reads   request, client
Writes  caller
Fails   UNAUTHENTICATED, in the same words for a key that is missing, wrong, doubled, revoked,
        expired or used from elsewhere: nobody learns which.
Source  RFC 6750 section 2.1 (Authorization: Bearer); RFC 9110 section 11.6.1 (WWW-Authenticate).
"""

from ipaddress import ip_address

from msgspec import Struct

from contracts.problem import Fault, Problem
from gateway.keys import well_formed
from gateway.policy import Caller, Exchange, Policy, Stage, Tools

_SAY = "A valid API key is needed: Authorization: Bearer <key>, or X-Api-Key."
_CHALLENGE = (b"www-authenticate", b'Bearer realm="firmwire"')


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to choose yet."""


class _Authenticate:
    def __init__(self, config: Config, tools: Tools) -> None:
        self._callers = tools.callers
        self._hashers = tools.hashers
        self._unix = tools.unix

    def on_request(self, x: Exchange) -> Problem | None:
        key = _key(x.known)
        if key is not None and well_formed(key):
            for hashed in self._hashers:
                caller = self._callers.get(hashed(key))
                if caller is not None and (caller.free or self._holds(caller, x.client)):
                    x.caller = caller
                    return None
        x.down.append(_CHALLENGE)
        return Problem(Fault.UNAUTHENTICATED, _SAY)

    def _holds(self, caller: Caller, client: str) -> bool:
        if caller.expires_s and self._unix() >= caller.expires_s:
            return False
        if not caller.networks:
            return True
        address = ip_address(client.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in caller.networks)


def _key(known: dict[bytes, bytes]) -> bytes | None:
    """The one key of a request; two are as bad as none."""
    bearer = known.get(b"authorization")
    plain = known.get(b"x-api-key")
    if bearer is None:
        return plain
    if plain is not None or bearer[:7].lower() != b"bearer ":
        return None
    return bearer[7:]


POLICY = Policy(
    stage=Stage.IDENTIFY,
    config=Config,
    bind=_Authenticate,
    reads=frozenset({"request", "client"}),
    writes=frozenset({"caller"}),
)

"""This file exists to find out who is calling, by API key.

Reads   request, client
Writes  caller
Fails   UNAUTHENTICATED, in the same words for a key that is missing, wrong, doubled, revoked,
        expired or used from elsewhere: nobody learns which.
Source  RFC 6750 section 2.1 (Bearer); RFC 7617 (Basic, for pages); RFC 9110 section 11.6.1.
"""

from base64 import b64decode
from ipaddress import ip_address

from msgspec import Struct

from contracts.problem import Fault, Problem
from gateway.keys import well_formed
from gateway.policy import Caller, Exchange, Policy, Stage, Tools

_SAY = "A valid API key is needed: Authorization: Bearer <key>, X-Api-Key, or as Basic password."
_CHALLENGES = (
    (b"www-authenticate", b'Bearer realm="firmwire"'),
    (b"www-authenticate", b'Basic realm="firmwire", charset="UTF-8"'),
)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to choose yet."""


class _Authenticate:
    def __init__(self, config: Config, tools: Tools) -> None:
        self._callers = tools.callers
        self._hashers = tools.hashers
        self._unix = tools.unix

    def on_request(self, x: Exchange) -> Problem | None:
        key = _key(x.known, x.method)
        if key is not None and well_formed(key):
            for hashed in self._hashers:
                caller = self._callers.get(hashed(key))
                if caller is not None and (caller.free or self._holds(caller, x.client)):
                    x.caller = caller
                    return None
        x.down.extend(_CHALLENGES)
        return Problem(Fault.UNAUTHENTICATED, _SAY)

    def _holds(self, caller: Caller, client: str) -> bool:
        if caller.expires_s and self._unix() >= caller.expires_s:
            return False
        if not caller.networks:
            return True
        address = ip_address(client.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in caller.networks)


def _key(known: dict[bytes, bytes], method: bytes) -> bytes | None:
    """The one key of a request; two are as bad as none."""
    given = known.get(b"authorization")
    plain = known.get(b"x-api-key")
    if given is None:
        return plain
    if plain is not None:
        return None
    if given[:7].lower() == b"bearer ":
        return given[7:]
    # A browser sends Basic by itself, also from other sites: good for looking, never for doing.
    looks = method in (b"GET", b"HEAD")
    return _password(given[6:]) if looks and given[:6].lower() == b"basic " else None


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
)

"""This file exists to get NetSuite's access token: OAuth 2.0 client credentials, signed by us.

Source  vendor help, OAuth 2.0 for machine to machine: ES256 or PS256, never RS256; kid is the
        certificate's id; aud is the token endpoint; at most 60 minutes.
"""

from joserfc import jwt
from joserfc.jwk import ECKey
from msgspec import Struct

from chassis import clock
from chassis.outbound import Outbound
from contracts.problem import Fault, Problem, Vendor
from system_apis.tokens import Token

PATH = "/services/rest/auth/oauth2/v1/token"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFE_S = 300


class Answer(Struct, frozen=True):
    """expires_in comes as text."""

    access_token: str
    expires_in: str | int = "3600"


async def fetch(
    door: Outbound, instance: str, client_id: str, certificate_id: str, private_key: str
) -> Token:
    """private_key: PEM of an EC key on P-256. VENDOR_AUTH when NetSuite refuses the assertion."""
    now_s = int(clock.now().timestamp())
    claims = {
        "iss": client_id,
        "scope": "rest_webservices",
        "aud": door.base_url + PATH,
        "iat": now_s,
        "exp": now_s + _LIFE_S,
    }
    header = {"alg": "ES256", "typ": "JWT", "kid": certificate_id}
    signed = jwt.encode(header, claims, ECKey.import_key(private_key), algorithms=["ES256"])
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": _ASSERTION,
        "client_assertion": signed,
    }
    reply = await door.send("POST", PATH, form=form, safe=True)
    if not reply.ok:
        raise Problem(
            Fault.VENDOR_AUTH,
            f"{instance} refused our certificate.",
            because=reply.body[:300].decode(errors="replace"),
            vendor=Vendor(system=instance, status=reply.status),
        )
    answer = reply.json(Answer)
    return Token(answer.access_token, float(answer.expires_in))

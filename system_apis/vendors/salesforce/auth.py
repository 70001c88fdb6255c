"""This file exists to get Salesforce's access token: OAuth 2.0 client credentials at My Domain.

Source  vendor's collection of requests (token path, form, answer); the answer has no lifetime.
"""

from urllib.parse import urlsplit

from chassis.outbound import Outbound
from contracts.problem import Fault, Problem, Vendor
from system_apis.tokens import Token
from system_apis.vendors.salesforce import wire

PATH = "/services/oauth2/token"


async def fetch(
    door: Outbound, instance: str, client_id: str, client_secret: str
) -> tuple[Token, str]:
    """The token, and the address to call with it. VENDOR_AUTH when Salesforce refuses us."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
    }
    reply = await door.send("POST", PATH, form=form, safe=True)
    if reply.status in (400, 401, 403):
        raise Problem(
            Fault.VENDOR_AUTH,
            f"{instance} refused our client.",
            because=reply.body[:300].decode(errors="replace"),
            vendor=Vendor(system=instance, status=reply.status),
        )
    wire.refuse(instance, reply.status, reply.body)
    answer = reply.json(wire.Token)
    return Token(answer.access_token), _address(door.base_url, answer.instance_url)


def _address(base_url: str, instance_url: str) -> str:
    """Only an address as safe as the configured one gets our token."""
    told, own = urlsplit(instance_url), urlsplit(base_url)
    safe = told.scheme == "https" or (told.scheme, told.netloc) == (own.scheme, own.netloc)
    return instance_url.rstrip("/") if told.netloc and safe else base_url

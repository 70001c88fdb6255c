"""This file exists to get Kantata's access token: OAuth 2.0 client credentials, never expiring.

Source  vendor developer documentation (grants, token path); tokens end only by revocation.
"""

from chassis.outbound import Outbound
from contracts.problem import Fault, Problem, Vendor
from system_apis.tokens import Token
from system_apis.vendors.kantata import wire


async def fetch(door: Outbound, instance: str, client_id: str, client_secret: str) -> Token:
    """door: an Outbound without auth. VENDOR_AUTH when Kantata refuses the client."""
    reply = await door.send(
        "POST",
        "/oauth/token",
        form={
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        },
        safe=True,
    )
    if not reply.ok:
        raise Problem(
            Fault.VENDOR_AUTH,
            f"{instance} refused our client.",
            vendor=Vendor(system=instance, status=reply.status),
        )
    return Token(reply.json(wire.Token).access_token)

"""This file exists to call the admin API's part about clients, admins, issuers and signing keys.

Owns   nothing; it goes through a ControlClient.
Fails  as that does.
"""

from contracts.paging import Page
from gateway.control.client import ControlClient
from gateway.control.shapes import Revocation
from gateway.identity.clients import ClientDraft, ClientMade, ClientView
from gateway.identity.issuers import IssuerDraft, IssuerRemoval, IssuerView
from gateway.identity.people import NewRole, Password, PersonDraft, PersonMade, PersonView
from gateway.identity.roles import Role
from gateway.identity.signing import SigningKeyView


async def create_client(control: ControlClient, draft: ClientDraft) -> ClientMade:
    """The only reply that holds the secret."""
    return await control.ask("POST", "/clients", ClientMade, draft)


async def clients(
    control: ControlClient,
    *,
    consumer: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[ClientView]:
    return await control.ask(
        "GET", "/clients", Page[ClientView], consumer=consumer, limit=limit, cursor=cursor
    )


async def revoke_client(control: ControlClient, id: str, *, reason: str = "") -> ClientView:
    return await control.ask("POST", f"/clients/{id}/revoke", ClientView, Revocation(reason))


async def rotate_client(control: ControlClient, id: str, *, reason: str = "") -> ClientMade:
    """The only reply that holds the new secret."""
    return await control.ask("POST", f"/clients/{id}/rotate", ClientMade, Revocation(reason))


async def create_admin(control: ControlClient, draft: PersonDraft) -> PersonMade:
    """The only reply that holds a password made here."""
    return await control.ask("POST", "/admins", PersonMade, draft)


async def admins(
    control: ControlClient, *, limit: int = 50, cursor: str | None = None
) -> Page[PersonView]:
    return await control.ask("GET", "/admins", Page[PersonView], limit=limit, cursor=cursor)


async def set_role(
    control: ControlClient, name: str, role: Role, *, reason: str = ""
) -> PersonView:
    return await control.ask("POST", f"/admins/{name}/role", PersonView, NewRole(role, reason))


async def disable_admin(control: ControlClient, name: str, *, reason: str = "") -> PersonView:
    return await control.ask("POST", f"/admins/{name}/disable", PersonView, Revocation(reason))


async def set_password(
    control: ControlClient, name: str, *, password: str = "", reason: str = ""
) -> PersonMade:
    draft = Password(password, reason)
    return await control.ask("POST", f"/admins/{name}/password", PersonMade, draft)


async def set_issuer(control: ControlClient, draft: IssuerDraft) -> IssuerView:
    """Make or replace; its keys are fetched before it is believed."""
    return await control.ask("PUT", "/issuers", IssuerView, draft)


async def issuers(control: ControlClient) -> Page[IssuerView]:
    return await control.ask("GET", "/issuers", Page[IssuerView])


async def refresh_issuer(control: ControlClient, issuer: str) -> IssuerView:
    """Ask for its keys now."""
    return await control.ask("POST", "/issuers/refresh", IssuerView, IssuerRemoval(issuer))


async def remove_issuer(control: ControlClient, issuer: str, *, reason: str = "") -> IssuerView:
    draft = IssuerRemoval(issuer, reason)
    return await control.ask("POST", "/issuers/remove", IssuerView, draft)


async def rotate_signing_key(control: ControlClient, *, reason: str = "") -> SigningKeyView:
    return await control.ask("POST", "/signing-keys/rotate", SigningKeyView, Revocation(reason))


async def signing_keys(control: ControlClient) -> Page[SigningKeyView]:
    return await control.ask("GET", "/signing-keys", Page[SigningKeyView])

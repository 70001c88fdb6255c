"""This file exists to say in one place what a role may do on the control plane.

Owns   the roles and their actions, `<things>:<verb>`, e.g. `keys:write`. A thing nobody named
       belongs to the role admin alone: what is new is closed until it is opened here.
Fails  FORBIDDEN (`demand`, `demand_not_stronger`), naming the action.
"""

from typing import Literal, get_args

from msgspec import Struct

from contracts.problem import Fault, Problem

Role = Literal["admin", "operator", "auditor", "support", "user"]
ROLES: tuple[Role, ...] = get_args(Role)

_LOOK = frozenset(
    {"plans", "consumers", "keys", "routes", "quotas", "usage", "vendors", "versions", "gateway"}
)
_HAND = frozenset({"plans", "consumers", "keys", "quotas", "clients", "versions", "gateway"})
_MAY: dict[Role, frozenset[str]] = {
    "operator": frozenset(
        {f"{thing}:read" for thing in _LOOK | _HAND | {"audit", "issuers"}}
        | {f"{thing}:write" for thing in _HAND}
        | {"signing:read"}
    ),
    "auditor": frozenset(
        f"{thing}:read" for thing in _LOOK | {"audit", "clients", "issuers", "admins", "signing"}
    ),
    "support": frozenset({f"{thing}:read" for thing in _LOOK | {"clients"}} | {"quotas:write"}),
    "user": frozenset(),
}


class Admin(Struct, frozen=True):
    """Who is behind a request to the control plane, for as long as that request.

    id: for the audit trail. csrf: what a page's form must send back; empty for a token, which a
    browser never sends by itself.
    """

    id: str
    name: str
    role: Role
    csrf: str = ""


def may(role: Role, action: str) -> bool:
    """True when the role may do this. Looking at oneself (`self:...`) is everybody's."""
    return role == "admin" or action in _MAY[role] or action.startswith("self:")


def covers(role: Role, other: Role) -> bool:
    """True when whoever has `role` may do all that `other` may."""
    return role == "admin" or (other != "admin" and _MAY[other] <= _MAY[role])


def demand(admin: Admin, action: str) -> None:
    """FORBIDDEN unless the admin may."""
    if not may(admin.role, action):
        raise Problem(Fault.FORBIDDEN, f"The role {admin.role} may not do {action}.")


def demand_not_stronger(admin: Admin, role: Role) -> None:
    """FORBIDDEN when an admin would make somebody who may more than itself."""
    if not covers(admin.role, role):
        raise Problem(Fault.FORBIDDEN, f"The role {admin.role} cannot give the role {role}.")

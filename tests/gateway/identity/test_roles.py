"""Who may do what, and that nobody makes somebody stronger than itself."""

import pytest

from contracts.problem import Fault, Problem
from gateway.identity.roles import ROLES, Admin, covers, demand, demand_not_stronger, may


def test_only_admins_do_what_nobody_named():
    """A new thing is closed until a role is given it."""
    assert [role for role in ROLES if may(role, "something_new:write")] == ["admin"]
    assert [role for role in ROLES if may(role, "admins:write")] == ["admin"]
    assert [role for role in ROLES if may(role, "issuers:write")] == ["admin"]
    assert [role for role in ROLES if may(role, "signing:write")] == ["admin"]


def test_who_looks_changes_nothing():
    """Auditors and users write nothing at all; support only quotas."""
    things = ("plans", "consumers", "keys", "quotas", "clients", "versions", "gateway", "admins")
    writes = {role: [t for t in things if may(role, f"{t}:write")] for role in ROLES}
    assert (writes["auditor"], writes["user"], writes["support"]) == ([], [], ["quotas"])
    assert may("auditor", "audit:read")
    assert not may("support", "audit:read")


@pytest.mark.parametrize("mine", ROLES)
def test_a_role_covers_only_what_it_may_itself(mine):
    """Nobody gives away more than it has."""
    assert covers(mine, mine)
    assert covers(mine, "user")
    assert covers(mine, "admin") == (mine == "admin")
    if mine == "support":
        assert not covers(mine, "operator")


def test_what_may_not_be_done_is_named():
    """FORBIDDEN tells the action, and the role that was not to be given."""
    somebody = Admin("p1", "somebody", "support")
    with pytest.raises(Problem) as refused:
        demand(somebody, "keys:write")
    assert (refused.value.fault, "keys:write" in refused.value.say) == (Fault.FORBIDDEN, True)
    with pytest.raises(Problem):
        demand_not_stronger(somebody, "admin")

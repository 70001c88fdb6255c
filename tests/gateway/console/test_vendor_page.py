"""The page and the admin API about vendors' quotas, before a system tier on a real socket."""

import re

import httpx
import pytest

from chassis.server import serving
from contracts.problem import Fault, Problem
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.control.vendors import VendorPage
from gateway.identity.roles import ROLES, may
from gateway.settings import ControlSettings


@pytest.fixture
async def look(control, tmp_path):
    """`await look("/console/vendors")`: the words of a page, signed in."""
    async with httpx.AsyncClient(base_url=control) as client:
        page = await client.get("/oauth/login?next=/console")
        form = {"form": re.search(r'name="form" value="([^"]+)"', page.text)[1]}
        await client.post("/oauth/login", data=form | {"password": admin_token(tmp_path)})

        async def words(where):
            page = await client.get(where)
            return page.status_code, " ".join(re.sub(r"<[^>]+>", " ", page.text).split())

        yield words


async def listed(admin, **query):
    return await admin.ask("GET", "/vendors", VendorPage, **query)


async def test_the_page_says_what_is_left_and_who_is_shed(look):
    """Told apart: what the vendor said, and what is only configured."""
    status, words = await look("/console/vendors")
    assert status == 200
    assert "float float configured not told, of 200 in 1 minute 0 of 4" in words
    assert "salesforce salesforce vendor just now 12,880 of 100,000 in 1 day 2 of 10" in words
    assert re.search(
        r"interactive 3 sync 2,400 bulk 3,600 interactive 41 interactive \d\d:\d\d:\d\d", words
    )


def test_whoever_looks_may_look():
    """Every role but the one that only consents to clients."""
    assert [role for role in ROLES if not may(role, "vendors:read")] == ["user"]
    assert [role for role in ROLES if may(role, "vendors:write")] == ["admin"]


async def test_nothing_connected_is_said(look, told):
    told.all.clear()
    _, words = await look("/console/vendors")
    assert "No vendor is connected" in words


async def test_a_name_that_means_harm_is_text(look, told):
    told.all = [type(told.all[0])(instance="<img src=x>", vendor="v", quota=told.all[0].quota)]
    _, words = await look("/console/vendors")
    assert "&lt;img src=x&gt;" in words


async def test_lists_come_in_pages(admin, told, look):
    """As all lists do; the cursor of a page is where it ended."""
    first = await listed(admin, limit=1)
    assert [one.instance for one in first.items] == ["float"]
    second = await listed(admin, limit=1, cursor=first.next_cursor)
    assert ([one.instance for one in second.items], second.next_cursor) == (["salesforce"], None)
    _, words = await look(f"/console/vendors?cursor={first.next_cursor}")
    assert " float " not in words


async def test_a_tier_that_does_not_know_us_is_away(system_tier, tmp_path):
    """Other keys, or none of ours: 503 in words, never the tier's own refusal, never a 500."""
    home = tmp_path / "another"
    settings = ControlSettings(system_url=system_tier)
    async with (
        serving(control_plane(settings, home)) as url,
        ControlClient(url, admin_token(home)) as admin,
    ):
        with pytest.raises(Problem) as caught:
            await listed(admin)
        assert caught.value.fault is Fault.UNAVAILABLE
        assert system_tier not in caught.value.say


async def test_a_tier_with_a_fault_is_away_too(look, told, admin):
    """The page stands and says it; the admin API answers 503, not 500."""
    told.broken = True
    status, words = await look("/console/vendors")
    assert status == 200
    assert "The system tier does not answer" in words
    with pytest.raises(Problem) as caught:
        await listed(admin)
    assert caught.value.fault is Fault.UNAVAILABLE

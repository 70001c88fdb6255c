"""Salesforce says that little is left: screens are refused, posting goes on, admins see it."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest

from chassis import call, clock, identity, travel
from chassis.limiter import Lane
from chassis.server import serving
from contracts.ports.system.crm import Crm
from contracts.problem import Fault, Problem
from firmwire.platform import VENDORS
from firmwire.supervisor import free_ports
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.control.vendors import VendorPage
from gateway.settings import ControlSettings
from sandbox.serve import running
from system_apis.app import SystemSettings, create

LEFT, A_DAY = 15, 100


@pytest.fixture
async def salesforce(tmp_path):
    """The simulator, with most of its day's calls used."""
    with running(tmp_path / "sandbox", vendors=["salesforce"]) as up:
        store = up.sandbox.houses["salesforce"].store
        store.put("client", "app", {"client_secret": "s", "user_id": "005000000000001AAA"})
        store.put("setting", "org", {"daily_limit": A_DAY})
        store.put("usage", f"usage.{clock.now():%Y-%m-%d}", {"calls": A_DAY - LEFT - 1})
        yield up


@pytest.fixture
async def system(salesforce, tmp_path, monkeypatch):
    """URL of a system tier with this one instance, which has heard its vendor."""
    prefix = "FIRMWIRE_SYSTEM_INSTANCE_SALESFORCE"
    told = {"BASE_URL": f"{salesforce.url}/salesforce", "CLIENT_ID": "app", "CLIENT_SECRET": "s"}
    for name, value in told.items():
        monkeypatch.setenv(f"{prefix}_{name}", value)
    verifier = identity.Verifier(identity.ensure(tmp_path))
    chosen = SystemSettings(instances={"salesforce": "salesforce"})
    async with serving(create(chosen, verifier)) as url:
        yield url


@asynccontextmanager
async def gateway(url, home):
    """A control plane before that system tier: its URL and a client."""
    settings = ControlSettings(system_url=url)
    async with (
        serving(control_plane(settings, home)) as control,
        ControlClient(control, admin_token(home)) as admin,
    ):
        yield control, admin


async def seen_by(admin, **query) -> VendorPage:
    return await admin.ask("GET", "/vendors", VendorPage, **query)


async def heard(admin):
    """Once the tier has asked its vendor, as it does when it starts."""
    ends_s = clock.monotonic() + 10
    while (quota := (await seen_by(admin)).items[0].quota).source != "VENDOR":
        assert clock.monotonic() < ends_s
        await asyncio.sleep(0.02)
    return quota


async def command(*words, control, home):
    """Status, output, errors; a process of its own, as the servers here write to the same ones."""
    env = os.environ | {"FIRMWIRE_CONTROL_URL": control, "FIRMWIRE_HOME": str(home)}
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "firmwire", *words, env=env, stdout=PIPE, stderr=PIPE
    )
    out, err = await asyncio.wait_for(run.communicate(), 30)
    return run.returncode, out.decode(), err.decode()


async def test_little_is_left(salesforce, system, tmp_path):
    """The screen's refusal is a problem document that says when to come again; the page, the
    command and the API say what is left, who is quiet, and how many were refused."""
    signer = identity.Signer.of(tmp_path, "gateway")
    crm = call.client(Crm, system, signer=signer, prefix="/system/v1/salesforce/crm")
    async with gateway(system, tmp_path) as (control, admin):
        quota = await heard(admin)
        assert (quota.left, quota.per_window, quota.window_s) == (LEFT, A_DAY, 86_400)
        assertion = signer.assertion("portal", ["system:read", "system:crm:read"])
        async with httpx.AsyncClient() as client:
            refused = await client.get(
                f"{system}/system/v1/salesforce/crm/clients/by-reference/CL-1",
                headers={identity.HEADER: assertion},
            )
        assert refused.headers["content-type"] == "application/problem+json"
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert 0 < int(refused.headers["retry-after"]) <= 61
        with travel.in_lane(Lane.INTERACTIVE), pytest.raises(Problem) as caught:
            await crm.client_by_reference("CL-1")
        assert caught.value.fault is Fault.RATE_LIMITED
        with travel.in_lane(Lane.POSTING):
            assert await crm.client_by_reference("CL-1") is None

        one = (await seen_by(admin)).items[0]
        assert (one.instance, one.vendor, one.tier) == ("salesforce", "salesforce", system)
        assert one.quota.left == LEFT - 1
        lanes = {lane.lane: lane for lane in one.quota.lanes}
        assert {name: lane.shed for name, lane in lanes.items() if lane.shed} == {"interactive": 2}
        assert [n for n, lane in lanes.items() if lane.quiet_until] == ["interactive", "bulk"]
        await _told_in_words(control, tmp_path)
        async with httpx.AsyncClient() as client:
            metrics = (await client.get(f"{system}/metrics")).text
        assert 'firmwire_outbound_quota_left_share{peer="salesforce"} 0.14' in metrics
        assert re.search(
            r'outbound_shed_total\{lane="interactive",peer="salesforce"\} [2-9]', metrics
        )
    await call.close(crm)


async def _told_in_words(control, home):
    """The command and the page of the console."""
    status, table, said = await command("quotas", "vendors", control=control, home=home)
    assert status == 0, said
    assert re.search(r"salesforce .*14 .*100 in 86,400 s .*interactive 2", table)
    _, told, _ = await command("quotas", "vendors", "--json", control=control, home=home)
    assert msgspec.json.decode(told, type=VendorPage).items[0].quota.left == LEFT - 1
    async with httpx.AsyncClient(base_url=control) as browser:
        page = await browser.get("/oauth/login?next=/console/vendors")
        token = re.search(r'name="form" value="([^"]+)"', page.text)[1]
        form = {"form": token, "password": admin_token(home), "next": "/console/vendors"}
        await browser.post("/oauth/login", data=form)
        page = await browser.get("/console/vendors")
    assert page.status_code == 200
    text = " ".join(re.sub(r"<[^>]+>", " ", page.text).split())
    assert re.search(r"salesforce salesforce vendor .*14 of 100 in 1 day 0 of 10", text)
    assert "script" not in page.headers["content-security-policy"]


def test_a_platform_shows_its_vendors_without_a_setting(firm):
    """`firmwire up` wires it: NetSuite and Salesforce were heard, the others are as configured."""

    async def sources() -> dict[str, str]:
        url, home = firm.platform.control_url, firm.platform.home
        async with ControlClient(url, admin_token(home)) as admin:
            return {one.instance: one.quota.source for one in (await seen_by(admin)).items}

    told = {"netsuite", "salesforce"}
    wanted = {v: "VENDOR" if v in told else "CONFIGURED" for v in VENDORS}
    ends_s = clock.monotonic() + 60
    while (found := firm.run(sources())) != wanted:
        assert clock.monotonic() < ends_s, found


async def test_a_system_tier_that_is_away_is_said_in_words(tmp_path):
    """503 as a problem document, a plain line with status 1, a page; and soon."""
    away = f"http://127.0.0.1:{free_ports(1)[0]}"
    async with gateway(away, tmp_path) as (control, admin):
        began_s = clock.monotonic()
        with pytest.raises(Problem) as caught:
            await seen_by(admin)
        assert clock.monotonic() - began_s < 4
        assert caught.value.fault is Fault.UNAVAILABLE
        assert "system tier does not answer" in caught.value.say
        status, _, said = await command("quotas", "vendors", control=control, home=tmp_path)
        assert (status, "system tier does not answer" in said) == (1, True)
        assert "Traceback" not in said


async def test_no_vendor_is_an_answer_too(tmp_path):
    """Empty, with what to do next; of two system tiers the one that is away is named."""
    verifier = identity.Verifier(identity.ensure(tmp_path))
    away = f"http://127.0.0.1:{free_ports(1)[0]}"
    async with (
        serving(create(SystemSettings(), verifier)) as here,
        gateway(f"{here}, {away}", tmp_path) as (control, admin),
    ):
        assert await seen_by(admin) == VendorPage(items=(), away=(away,))
        status, _, said = await command("quotas", "vendors", control=control, home=tmp_path)
        assert status == 0, said
        assert "No vendor is connected" in said
        assert f"{away} does not answer" in said

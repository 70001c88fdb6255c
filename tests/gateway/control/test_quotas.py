"""Limits of a consumer: seen in words, reset, raised for a while, each audited and published."""

from datetime import timedelta

import pytest

from chassis import clock
from chassis.outbound import Outbound
from contracts.problem import Problem
from gateway import tokens
from gateway.control.limit_words import said
from gateway.control.shapes import PlanDraft, QuotaRaise
from gateway.metering.limit import Limit
from gateway.snapshot import decode
from gateway.usage import UsageBatch, UsageRow

RATE = Limit(name="rate", kind="rate", amount=50, burst=100)
MONTH = Limit(name="month", kind="quota", amount=1000, period="month")


@pytest.fixture
async def ben(admin):
    await admin.set_plan("metered", PlanDraft(scopes=("process:*",), limits=(RATE, MONTH)))
    await admin.set_consumer("ben", "metered")
    return "ben"


async def published(control, tmp_path):
    out = Outbound(control, peer="test")
    bearer = {"authorization": f"Bearer {tokens.data_plane(tmp_path)}"}
    reply = await out.send("GET", "/snapshot?after=0", headers=bearer)
    await out.aclose()
    return {(one.limit): one for one in decode(reply.body).adjusted}


async def test_what_is_used_of_a_quota_is_what_was_let_in(admin, ben, control, tmp_path):
    """Throttled calls cost nothing; what only data planes know is not guessed."""
    now_s = int(clock.now().timestamp())
    row = UsageRow(now_s // 3600 * 3600, ben, "", "process", "", 30, 4, 10, 1, now_s, "metered")
    out = Outbound(control, peer="test")
    bearer = {"authorization": f"Bearer {tokens.data_plane(tmp_path)}"}
    await out.send("POST", "/usage", json=UsageBatch("w", 1, (row,)), headers=bearer)
    await out.aclose()
    seen = {one.name: one for one in (await admin.quotas(ben))[0].limits}
    assert (seen["month"].used, seen["rate"].used) == (20, None)
    assert seen["month"].says == "1,000 a calendar month, for each consumer"


async def test_a_reset_and_a_raise_reach_the_data_planes(admin, ben, control, tmp_path):
    """As the snapshot says it; and the record says who and why."""
    await admin.reset_quota(ben, reason="a broken loop of ours")
    await admin.reset_quota(ben, limit="month", reason="again")
    until = clock.now() + timedelta(hours=2)
    told = QuotaRaise(limit="month", amount=5000, until=until, reason="month end")
    seen = {one.name: one for one in (await admin.raise_limit(ben, told)).limits}
    assert (seen["month"].raised_to, seen["month"].resets) == (5000, 2)
    sent = await published(control, tmp_path)
    assert (1, 2, 5000, int(until.timestamp())) == (
        sent["rate"].generation, sent["month"].generation, sent["month"].amount,
        sent["month"].until_s,
    )  # fmt: skip
    ended = await admin.raise_limit(ben, QuotaRaise(limit="month", amount=0, reason="over"))
    assert ended.limits[1].raised_to is None
    trail = (await admin.audit(action="quota")).items
    assert [
        entry.action for entry in trail
    ] == ["quota.raised", "quota.raised", "quota.reset", "quota.reset"]
    await admin.remove_consumer(ben)
    assert await published(control, tmp_path) == {}


@pytest.mark.parametrize(
    ("told", "pointer"),
    [
        ({"limit": "odd", "amount": 5, "hours": 1}, "/limit"),
        ({"limit": "month", "amount": 5}, "/until"),
        ({"limit": "month", "amount": 5, "hours": -1}, "/until"),
        ({"limit": "month", "amount": 5, "hours": 24 * 93}, "/until"),
    ],
)
async def test_a_wrong_raise_names_the_field(admin, ben, told, pointer):
    """And leaves everything as it was."""
    hours = told.pop("hours", None)
    until = clock.now() + timedelta(hours=hours) if hours else None
    with pytest.raises(Problem) as refused:
        await admin.raise_limit(ben, QuotaRaise(until=until, **told))
    assert pointer == refused.value.errors[0].pointer
    assert (await admin.quotas(ben))[0].limits[1].raised_to is None


async def test_what_many_share_is_nobodys_to_reset_or_raise(admin):
    """A limit counted by plan is not one consumer's: said, instead of done in vain."""
    shared = Limit(name="all", kind="rate", amount=500, per=("plan",))
    await admin.set_plan("wide", PlanDraft(scopes=("process:*",), limits=(shared, MONTH)))
    await admin.set_consumer("ben", "wide")
    until = clock.now() + timedelta(hours=1)
    for work in (
        admin.reset_quota("ben", limit="all"),
        admin.raise_limit("ben", QuotaRaise(limit="all", amount=900, until=until)),
    ):
        with pytest.raises(Problem) as refused:
            await work
        assert "counts several consumers together" in refused.value.say
    seen = await admin.reset_quota("ben")
    assert [(one.name, one.resets) for one in seen.limits] == [("all", 0), ("month", 1)]


def test_limits_in_words():
    """The same on pages, in trees and on the terminal."""
    assert said(RATE) == "50 a second, 100 at once, for each consumer"
    minute = Limit(name="m", kind="rate", amount=5, window_s=60, per=("consumer", "route"))
    assert said(minute) == "5 a minute, for each consumer and route"
    odd = Limit(name="m", kind="rate", amount=5, window_s=90, shadow=True)
    assert said(odd) == "5 in 90 seconds, for each consumer (only watched)"
    same = Limit(name="c", kind="concurrency", amount=8, per=("key",))
    assert said(same) == "8 at the same time, for each key"

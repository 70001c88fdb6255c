"""A running control plane with something to show."""

from datetime import timedelta

import pytest

from chassis import clock
from chassis.outbound import Outbound
from chassis.server import serving
from gateway import tokens
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.settings import ControlSettings
from gateway.usage import UsageBatch, UsageRow


@pytest.fixture
async def control(tmp_path):
    """URL of a running control plane."""
    async with serving(control_plane(ControlSettings(), tmp_path)) as url:
        yield url


@pytest.fixture
async def admin(control, tmp_path):
    async with ControlClient(control, admin_token(tmp_path)) as client:
        yield client


@pytest.fixture
async def used(admin, control, tmp_path):
    """Consumers with keys, and a week in which they were used; the first key of `alder`."""
    made = None
    for number, (name, plan) in enumerate(
        (("alder-gmbh", "partner"), ("brook-advisory", "partner"), ("portal", "internal"))
    ):
        await admin.set_consumer(
            name, plan, owner=f"Desk {number}", contact=f"desk{number}@firm.example",
            tenant=("lisbon", "bremen", "")[number], reason="onboarding",
        )  # fmt: skip
        key = await admin.create_key(
            name, label=("nightly export", "time entry", "")[number], reason="first key",
            expires_at=clock.now() + timedelta(days=9 * number + 3),
        )  # fmt: skip
        made = made or key
    now_s = int(clock.now().timestamp())
    rows = []
    for back in range(24 * 7):
        hour_s = (now_s // 3600 - back) * 3600
        busy = 40 + (hour_s // 3600 % 24) ** 2
        rows += [
            UsageRow(hour_s, "alder-gmbh", made.key.id, "process", "2026-11-01",
                     busy * 3, busy // 9, busy // 5, busy // 60, now_s),
            UsageRow(hour_s, "portal", "", "experience", "2026-11-22", busy, 1, 0, 0, now_s),
            UsageRow(hour_s, "", "", "", "", back % 7, back % 7, 0, 0, now_s),
        ]  # fmt: skip
    out = Outbound(control, peer="test")
    bearer = {"authorization": f"Bearer {tokens.data_plane(tmp_path)}"}
    await out.send("POST", "/usage", json=UsageBatch("w", 1, tuple(rows)), headers=bearer)
    await out.aclose()
    return made

"""Two control planes on one database: what is changed at one is heard from the other."""

import asyncio

import pytest

from chassis import clock
from chassis.server import serving
from gateway.control import publish
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.settings import ControlSettings
from gateway.snapshot import decode


@pytest.fixture(params=["sqlite", "postgres"])
async def pair(request, tmp_path, upstream):
    """Admins of two replicas, the URL of the second, and who publishes at each."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    system = f"http://127.0.0.1:{upstream.port}"
    given = ControlSettings(system_url=system, database_url=url)
    first, second = (control_plane(given, tmp_path) for _ in range(2))
    async with (
        serving(first) as a,
        serving(second) as b,
        ControlClient(a, admin_token(tmp_path)) as first_admin,
        ControlClient(b, admin_token(tmp_path)) as second_admin,
    ):
        publishers = (each.litestar.state.publisher for each in (first, second))
        yield first_admin, second_admin, b, *publishers


async def test_a_key_revoked_at_one_is_dead_where_the_other_is_polled(pair, tmp_path, Gateway):
    """Within a second, there and back; nothing is lost when both change at once."""
    one, two, url, *_ = pair
    await one.set_consumer("acme", "internal")
    async with Gateway(tmp_path, url, workers=1) as gateway:
        for admin, other in ((one, two), (two, one)):
            made = await admin.create_key("acme", scopes=("system:read",))
            async with asyncio.timeout(20):
                while 200 not in await served(gateway, made.secret):
                    await asyncio.sleep(0.01)
            began_s = clock.monotonic()
            await other.revoke_key(made.key.id, reason="leaked")
            while await served(gateway, made.secret) != {401}:
                assert clock.monotonic() - began_s < 1.0
        both = [
            admin.create_key("acme", scopes=("system:read",))
            for admin in (one, two)
            for _ in range(5)
        ]
        made = await asyncio.gather(*both)
        assert await one.audit_broken_at() is None
        for each in made:
            async with asyncio.timeout(5):
                while await served(gateway, each.secret) != {200}:
                    await asyncio.sleep(0.01)


async def served(gateway, key):
    try:
        return await gateway.statuses(key, 2)
    except OSError:
        return set()


async def test_nobody_goes_back_to_what_was_before(pair, monkeypatch):
    """Who heard the news from one and asks the other, which did not look yet, is not told less."""
    one, _, _, ahead, publisher = pair
    monkeypatch.setattr(publish, "LOOK_S", 60.0)
    await one.set_consumer("acme", "internal")
    async with asyncio.timeout(5):  # a look may be under way
        while True:
            behind = publisher.snapshot.version
            made = await one.create_key("acme")
            if publisher.snapshot.version == behind:
                break
    heard = ahead.snapshot.version
    assert heard > behind
    assert await publisher.after(heard, 0.0) is None
    assert publisher.snapshot.version == heard
    assert made.key.id in {key.id for key in decode(publisher._encoded).keys}

"""Control plane and data plane together: keys live and die, restarts are survived."""

import asyncio
import re

import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import ASGIRoute

from chassis import clock
from chassis.outbound import Outbound
from chassis.server import serving
from contracts.problem import Fault, Problem
from gateway import tokens
from gateway.console.partner_pages import only_partners
from gateway.control import audit, tables
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.control.tokens import only_admins, only_data_planes


async def test_a_revoked_key_is_dead_in_less_than_a_second(admin, control, tmp_path, Plane):
    """From the admin's click to the refusal, on a running data plane."""
    made = await admin.create_key("acme", scopes=("system:read",), reason="test")
    async with Plane(tmp_path, control) as plane:
        while await plane.status(made.secret) != 200:
            await asyncio.sleep(0.005)
        began_s = clock.monotonic()
        await admin.revoke_key(made.key.id, reason="leaked")
        while await plane.status(made.secret) != 401:
            assert clock.monotonic() - began_s < 1.0
        assert clock.monotonic() - began_s < 1.0


async def test_a_data_plane_serves_from_disk_when_its_control_plane_is_gone(
    settings, tmp_path, Plane
):
    """Also after its own restart; and takes up the news when the control plane is back."""
    async with serving(control_plane(settings, tmp_path)) as url:
        async with ControlClient(url, admin_token(tmp_path)) as admin:
            await admin.set_consumer("acme", "internal")
            made = await admin.create_key("acme")
        async with Plane(tmp_path, url) as plane:
            while await plane.status(made.secret) != 200:
                await asyncio.sleep(0.005)
            version = plane.worker.snapshot.version
    async with Plane(tmp_path, url) as plane:
        assert version == plane.worker.snapshot.version
        assert await plane.status(made.secret) == 200
    port = int(url.rpartition(":")[2])
    async with serving(control_plane(settings, tmp_path), port=port) as again:
        async with ControlClient(again, admin_token(tmp_path)) as admin:
            await admin.revoke_key(made.key.id)
        async with Plane(tmp_path, again) as plane:
            async with asyncio.timeout(5):
                while await plane.status(made.secret) != 401:
                    await asyncio.sleep(0.005)


async def test_rotation_keeps_both_keys_for_the_overlap_only(admin, control, tmp_path, Plane):
    """No failed call in between, and never past the old key's own expiry."""
    made = await admin.create_key("acme", scopes=("system:read",))
    next_one = await admin.rotate_key(made.key.id, overlap_s=3600, reason="yearly")
    assert made.key.id == next_one.key.replaces
    (old, new) = (await admin.keys(consumer="acme")).items
    assert (old.state, new.state) == ("active", "active")
    assert 3590 < (old.expires_at - clock.now()).total_seconds() <= 3600
    assert new.expires_at is None
    async with Plane(tmp_path, control) as plane:
        while await plane.status(made.secret) != 200:
            await asyncio.sleep(0.005)
        assert await plane.status(next_one.secret) == 200
    again = await admin.rotate_key(next_one.key.id, overlap_s=0)
    assert again.key.expires_at is None
    with pytest.raises(Problem) as refused:
        await admin.rotate_key(next_one.key.id)
    assert Fault.CONFLICT is refused.value.fault


async def test_422_names_the_field(admin):
    """A scope beyond the plan, a consumer nobody knows, a network that is none."""
    for asked, pointer in (
        ({"consumer": "nobody"}, "/consumer"),
        ({"consumer": "acme", "networks": ("10.0.0.0/99",)}, "/networks/0"),
    ):
        with pytest.raises(Problem) as refused:
            await admin.create_key(**asked)
        assert (Fault.INVALID, pointer) == (
            refused.value.fault, refused.value.errors[0].pointer,
        )  # fmt: skip
    await admin.set_consumer("small", "partner")
    with pytest.raises(Problem) as refused:
        await admin.create_key("small", scopes=("process:time:read", "system:read"))
    assert refused.value.errors[0].pointer == "/scopes/1"


async def test_lists_come_in_pages(admin):
    """Each item once, in order, to the end."""
    made = [(await admin.create_key("acme")).key.id for _ in range(5)]
    seen, cursor = [], None
    while True:
        page = await admin.keys(consumer="acme", limit=2, cursor=cursor)
        seen += [key.id for key in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert made == seen


async def test_401_without_the_right_token(control, tmp_path, admin):
    """Neither plane's token opens the other's door, and wrong and missing look the same."""
    out = Outbound(control, peer="test")
    data_plane = {"authorization": f"Bearer {tokens.data_plane(tmp_path)}"}
    bootstrap = {"authorization": f"Bearer {admin_token(tmp_path)}"}
    for path, headers in (
        ("/admin/v1/keys", {}),
        ("/admin/v1/keys", data_plane),
        ("/snapshot?after=0", {}),
        ("/snapshot?after=0", bootstrap),
    ):
        assert (await out.send("GET", path, headers=headers)).status == 401
    assert (await out.send("GET", "/snapshot?after=0", headers=data_plane)).status == 200
    await out.aclose()


def test_every_route_of_the_control_plane_has_a_guard(settings, tmp_path):
    """A route that somebody adds without one fails here, before it ships."""
    open_to_all = {"/health", "/ready", "/metrics", "/leaked-keys"}
    app = control_plane(settings, tmp_path).litestar
    mounts = {route.path for route in app.routes if isinstance(route, ASGIRoute)}
    assert mounts == {"/oauth", "/.well-known"}  # the identity app's: they prove callers themselves
    for route in app.routes:
        if isinstance(route, ASGIRoute):
            continue
        if route.path in open_to_all or route.path.startswith("/console"):
            continue  # the console's own test looks at its pages
        for handler in route.route_handlers:
            if isinstance(handler, HTTPRouteHandler) and handler.http_methods != {"OPTIONS"}:
                guards = set(handler.resolve_guards())
                assert guards & {only_admins, only_data_planes, only_partners}, route.path
                if only_admins in guards:
                    assert re.fullmatch(r"[a-z]+:(read|write)", handler.opt["action"]), route.path


async def test_the_audit_chain_shows_a_change(control, admin, tmp_path, settings):
    """Who, what, why, before and after; an altered entry breaks the chain."""
    from sqlalchemy import update

    from chassis.database import Database, url_of

    made = await admin.create_key("acme", reason="for the portal")
    await admin.revoke_key(made.key.id, reason="leaked")
    database = Database(url_of(tmp_path, "gateway"), name="look")
    try:
        with database.reading() as connection:
            assert audit.broken_at(connection) is None
            rows = connection.execute(tables.audit_entry.select()).all()
            assert [(row.action, row.reason) for row in rows[-2:]] == [
                ("key.created", "for the portal"),
                ("key.revoked", "leaked"),
            ]
            assert made.secret.encode() not in b"".join(row.after for row in rows)
            seq = rows[-2].seq
        with database.transaction() as connection:
            connection.execute(
                update(tables.audit_entry)
                .where(tables.audit_entry.c.seq == seq)
                .values(reason="nothing to see")
            )
        with database.reading() as connection:
            assert seq == audit.broken_at(connection)
    finally:
        database.close()


async def test_no_plain_secret_is_kept(control, admin, tmp_path):
    """Neither a key nor the admin token can be read from the database."""
    made = await admin.create_key("acme")
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("gateway.sqlite*"))
    assert made.secret[:12].encode() in stored
    assert made.secret.encode() not in stored
    assert admin_token(tmp_path).encode() not in stored

"""This file exists to put the control plane together: database, first plans, API, publisher.

Owns   its composition; the first plans and the bootstrap secret of a first start.
Fails  at start, when the database cannot be opened or the configuration is refused.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from litestar import Litestar
from sqlalchemy import Connection, func, select

from chassis import identity
from chassis.database import Database, url_of
from chassis.service import Service, service
from gateway import tokens as shared
from gateway.console.app import console
from gateway.console.portal import portal
from gateway.control import (
    api,
    api_identity,
    api_keys,
    api_usage,
    store,
    tables,
    tokens,
    usage_store,
)
from gateway.control.publish import Publisher
from gateway.control.shapes import ConsumerDraft, PlanDraft
from gateway.control.vendors import SystemTier
from gateway.identity import signing
from gateway.identity.app import identity_app
from gateway.identity.house import house_of
from gateway.identity.issuers import Keeper
from gateway.keys import peppers
from gateway.metering.limit import Limit
from gateway.settings import ControlSettings

_SYSTEM = "firmwire"
FIRST_PLANS = {
    "internal": PlanDraft(
        scopes=("system:*", "process:*", "experience:*"),
        limits=(Limit(name="rate", kind="rate", amount=1000, burst=2000),), reason="first start",
    ),
    "partner": PlanDraft(
        scopes=("process:time:read", "process:time:write", "process:billing:read", "experience:*"),
        limits=(
            Limit(name="rate", kind="rate", amount=50, burst=100),
            Limit(name="month", kind="quota", amount=1_000_000, period="month"),
        ),
        reason="first start",
    ),
}  # fmt: skip


def control_plane(settings: ControlSettings, home: Path) -> Service:
    """The service; its lifespan opens the database and publishes the first snapshot."""
    database = Database(url_of(home, "gateway", settings.database_url), name="gateway")
    mount = api_identity.Mount()
    verifier = identity.Verifier(identity.ensure(home))

    @asynccontextmanager
    async def living(app: Litestar) -> AsyncIterator[None]:
        database.migrate("gateway.control.migrations")
        await database.write(lambda connection: _first_start(connection, home))
        await database.write(usage_store.forget)
        secrets = peppers(home)
        await database.write(lambda connection: signing.current(connection, secrets))
        publisher = Publisher(database, settings)
        await publisher.begin()
        app.state.database = database
        app.state.publisher = publisher
        app.state.settings = settings
        app.state.peppers = secrets
        app.state.leak_grace_s = settings.leak_grace_s
        app.state.verifier = verifier
        app.state.secure_cookies = settings.admins_at.startswith("https:")
        given = settings.token
        app.state.data_plane_token = given.reveal() if given else shared.data_plane(home)
        keeper = Keeper(database, publisher, loopback=settings.identity.loopback_issuers)
        app.state.keeper = keeper
        app.state.system_tier = system_tier = SystemTier(settings, home)
        mount.app = identity_app(house_of(database, publisher, settings, secrets))
        tasks = [asyncio.create_task(one) for one in (keeper.run(), publisher.follow())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await system_tier.aclose()
            await database.aclose()

    return service(
        "control",
        handlers=[
            api.admin, api.snapshot, api_keys.report_leak, api_usage.push,
            console, portal,
            *mount.handlers(),
        ],
        verifier=verifier,
        ready={"database": database.check},
        lifespan=[living],
    )  # fmt: skip


def _first_start(connection: Connection, home: Path) -> None:
    tokens.bootstrap(connection, home)
    if connection.execute(select(func.count()).select_from(tables.plan)).scalar_one():
        return
    for name, draft in FIRST_PLANS.items():
        store.put_plan(connection, name, draft, _SYSTEM)
    store.put_consumer(
        connection, "operator", ConsumerDraft(plans=("internal",), reason="first start"), _SYSTEM
    )

"""This file exists to be the experience tier's door: views found by discovery, pages over them.

Owns   the read model's database and the task that follows the process tier's events.
Fails  BadSettings before anything listens.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from litestar import Litestar, Response, get
from msgspec import Struct

from chassis import call, identity, log, server, settings
from chassis.database import Database, url_of
from chassis.discovery import plugs
from chassis.identity import Signer, Verifier
from chassis.service import Service, service
from contracts.ports.process.events import Events
from experience_apis.follow import Follower
from experience_apis.pages import operations as operations_page
from experience_apis.read_model import ReadModel
from experience_apis.view import View

PREFIX = "/experience/v1"
PROCESS_PREFIX = "/process/v1"


class ExperienceSettings(Struct, frozen=True, kw_only=True):
    """process_url: base URL of the process tier. database_url: SQLite in the home when empty."""

    port: int = 8103
    host: str = "127.0.0.1"
    process_url: str = "http://127.0.0.1:8102"
    database_url: str = ""
    log_form: str = "json"


def views() -> dict[str, View]:
    """Every file under views/."""
    return plugs("experience_apis.views", "VIEW", View)


def create(
    chosen: ExperienceSettings, verifier: Verifier, signer: Signer, database: Database
) -> Service:
    """The tier's service over an open, migrated database."""
    read_model = ReadModel(database)
    events = call.client(Events, chosen.process_url, signer=signer, prefix=PROCESS_PREFIX)
    follower = Follower(events, read_model)

    @asynccontextmanager
    async def following(_app: Litestar) -> AsyncIterator[None]:
        task = asyncio.create_task(follower.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await call.close(events)
            await database.aclose()

    found = views()
    handlers = [_handler(name, view, read_model) for name, view in found.items()]
    pages = operations_page.handlers(PREFIX, found["operations"], read_model, follower)
    return service(
        "experience",
        handlers=[*handlers, *pages],
        verifier=verifier,
        ready={"database": database.check},
        lifespan=[following],
    )


def _handler(name: str, view: View, read_model: ReadModel) -> Any:
    @get(
        PREFIX + view.path,
        opt={"scope": view.scope, "operation": f"views.{name}"},
        name=f"views.{name}",
        media_type="application/json",
    )
    async def shown() -> Response[bytes]:
        body = msgspec.json.encode(await view.show(read_model))
        fresh = f"private, max-age={int(view.fresh_s)}" if view.fresh_s else "no-store"
        return Response(body, media_type="application/json", headers={"cache-control": fresh})

    return shown


def run() -> None:
    """`firmwire serve experience`: settings from the environment, until SIGTERM."""
    chosen = settings.load(ExperienceSettings, "experience")
    log.configure("experience", form="console" if chosen.log_form == "console" else "json")
    log.log("experience.app").info("settings.read", settings=settings.shown(chosen))
    home = settings.home()
    database = Database(url_of(home, "experience", chosen.database_url), name="experience")
    database.migrate("experience_apis.migrations")
    verifier, signer = Verifier(identity.jwks_file(home)), Signer.of(home, "experience")
    server.run(create(chosen, verifier, signer, database), host=chosen.host, port=chosen.port)

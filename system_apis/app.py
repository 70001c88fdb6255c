"""This file exists to be the system tier's door: every configured connector instance, served.

Owns   the running connectors. Instances are configuration; vendors are found by discovery.
Fails  BadSettings for an unknown vendor or incomplete credentials, before anything listens.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from litestar import Litestar
from msgspec import Meta, Struct, field

from chassis import identity, log, serve, server, settings
from chassis.discovery import plugs
from chassis.identity import Verifier
from chassis.service import Service, service
from chassis.settings import BadSettings, Wrong
from contracts.quota import InstanceQuota, Vendors
from system_apis.connector import Connector, Opened

PREFIX = "/system/v1"


class SystemSettings(Struct, frozen=True, kw_only=True):
    """instances: by instance name, its vendor (a folder under vendors/).

    instance: by instance name, that connector's own settings (base_url, credentials).
    quota_every_s: how often vendors that tell what they grant are asked, besides at the start.
    """

    port: int = 8101
    host: str = "127.0.0.1"
    log_form: str = "json"
    quota_every_s: Annotated[float, Meta(ge=1)] = 300.0
    instances: dict[str, str] = field(default_factory=dict)
    instance: dict[str, dict[str, Any]] = field(default_factory=dict)


def connectors() -> dict[str, Connector]:
    """Every vendor folder that has a connector."""
    return plugs("system_apis.vendors", "CONNECTOR", Connector, part="connector")


def opened(chosen: SystemSettings) -> dict[str, tuple[Connector, Opened]]:
    """Every configured instance, opened. Raises BadSettings naming all that is wrong."""
    known, wrongs = connectors(), list[Wrong]()
    found: dict[str, tuple[Connector, Opened]] = {}
    for instance, vendor in sorted(chosen.instances.items()):
        if vendor not in known:
            hint = f"One of: {', '.join(sorted(known))}."
            wrongs.append(Wrong(f"system.instances.{instance}", f"no vendor {vendor}", hint))
            continue
        try:
            own = settings.load(known[vendor].settings, f"system.instance.{instance}")
        except BadSettings as bad:
            wrongs.extend(bad.wrongs)
            continue
        found[instance] = known[vendor], known[vendor].open(own, instance)
    if wrongs:
        raise BadSettings(wrongs)
    return found


def create(chosen: SystemSettings, verifier: Verifier) -> Service:
    """The tier's service; connectors are closed when it stops."""
    running = opened(chosen)
    handlers = [
        handler
        for instance, (connector, answers) in running.items()
        for name, port in connector.provides.items()
        for handler in serve.routes(
            port, answers, prefix=f"{PREFIX}/{instance}/{name}", name=f"{instance}.{name}"
        )
    ]

    handlers += serve.routes(Vendors, _Known(running), prefix=PREFIX)

    @asynccontextmanager
    async def living(_app: Litestar) -> AsyncIterator[None]:
        asking = [
            asyncio.create_task(answers.allowance.keep_asking(instance, chosen.quota_every_s))
            for instance, (_, answers) in running.items()
        ]
        try:
            yield
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            for _, answers in running.values():
                await answers.aclose()

    return service("system", handlers=handlers, verifier=verifier, lifespan=[living])


class _Known:
    """Answers the Vendors port."""

    def __init__(self, running: dict[str, tuple[Connector, Opened]]) -> None:
        self._running = running

    async def quotas(self) -> tuple[InstanceQuota, ...]:
        return tuple(
            InstanceQuota(instance=name, vendor=made.vendor, quota=answers.allowance.known())
            for name, (made, answers) in self._running.items()
        )


def run() -> None:
    """`firmwire serve system`: settings from the environment, until SIGTERM."""
    chosen = settings.load(SystemSettings, "system")
    log.configure("system", form="console" if chosen.log_form == "console" else "json")
    log.log("system.app").info("settings.read", settings=settings.shown(chosen))
    verifier = Verifier(identity.jwks_file(settings.home()))
    server.run(create(chosen, verifier), host=chosen.host, port=chosen.port)

"""This file exists to generate what is published about the interfaces, from the code itself.

Owns   the list of generated files; they are checked in, and a test holds them equal to the code.
       A version's own documents are not among them: those are frozen (firmwire/freezing.py).
Fails  TypeError when a port cannot be put on the wire.
"""

from pathlib import Path
from typing import Any

import msgspec

from chassis.openapi import Mounted, document
from chassis.versions import changes
from contracts import catalogue
from contracts.change import FIRST
from contracts.events import BUSINESS_EVENT_TYPES, CloudEvent
from contracts.operation import operation
from contracts.ports.process.billing import Billing
from contracts.ports.process.events import Events
from contracts.ports.process.exceptions import Exceptions
from contracts.ports.process.journeys import Journeys
from contracts.ports.process.master_data import MasterData
from contracts.ports.process.reconciliation import Reconciliation
from contracts.ports.process.time_entries import TimeEntries
from experience_apis.app import views
from system_apis.app import connectors

EVENTS_VERSION = "1.0.0"
TIERS = ("system", "process", "experience")
PROCESS_PORTS = (
    TimeEntries, Exceptions, Billing, MasterData, Journeys, Reconciliation, Events,
)  # fmt: skip


def generated() -> dict[Path, bytes]:
    """Every generated file by its path in the repository."""
    return {
        **{Path(f"openapi/{tier}/head.json"): described(tier) for tier in TIERS},
        Path("openapi/events-v1.asyncapi.json"): _events(),
        Path("docs/exceptions.md"): catalogue.markdown().encode(),
    }


def version_of(tier: str) -> str:
    """The newest version that changed anything of a tier; its document serves later ones too."""
    return max(
        (
            change.date
            for change in changes()
            if any(f" /{tier}/" in touch.operation for touch in change.touches)
        ),
        default=FIRST,
    )


def described(tier: str) -> bytes:
    """What the code says now, as the tier's newest version."""
    made = {"system": _system, "process": _process, "experience": _experience}
    return made[tier](version_of(tier))


def _system(version: str) -> bytes:
    mounts = [
        Mounted(port, f"/system/v1/{name}/{kind}", f"{name}.{kind}")
        for name, connector in connectors().items()
        for kind, port in connector.provides.items()
    ]
    tells = "Vendor systems behind canonical ports; one instance each, named after its vendor."
    return document("Firmwire system APIs", version, mounts, tells=tells)


def _process(version: str) -> bytes:
    mounts = [Mounted(port, "/process/v1", port.__name__.lower()) for port in PROCESS_PORTS]
    tells = "Journeys, ledger, exception queue, billing runs, events."
    return document("Firmwire process APIs", version, mounts, tells=tells)


def _experience(version: str) -> bytes:
    methods: dict[str, Any] = {}
    for name, view in views().items():
        methods[name] = _described(name, view.path, view.scope, view.shape)
    port = type("Views", (), methods)
    mounts = [Mounted(port, "/experience/v1", "views")]
    tells = "Views for dashboards, portals and mobile, from an event-fed read model."
    return document("Firmwire experience APIs", version, mounts, tells=tells)


def _described(name: str, path: str, scope: str, shape: type) -> Any:
    """A view as a port's method, so that one generator serves all tiers."""

    async def shown(self: object) -> Any: ...

    shown.__name__ = name
    shown.__qualname__ = f"Views.{name}"
    shown.__doc__ = (shape.__doc__ or name).strip()
    shown.__annotations__ = {"return": shape}
    return operation("GET", path, scope=scope)(shown)


def _events() -> bytes:
    (schema,), components = msgspec.json.schema_components(
        [CloudEvent], ref_template="#/components/schemas/{name}"
    )
    messages = {
        name.removeprefix("firmwire.").replace(".", "_"): {
            "name": name,
            "contentType": "application/cloudevents+json",
            "payload": schema,
        }
        for name in BUSINESS_EVENT_TYPES
    }
    body = {
        "asyncapi": "3.0.0",
        "info": {"title": "Firmwire events", "version": EVENTS_VERSION},
        "channels": {
            "events": {
                "address": "/process/v1/events",
                "description": "A feed with a cursor and long poll; /stream is the same as SSE.",
                "messages": messages,
            }
        },
        "operations": {
            "receive": {"action": "send", "channel": {"$ref": "#/channels/events"}},
        },
        "components": {"schemas": components},
    }
    text = msgspec.json.encode(body, order="sorted")
    return msgspec.json.format(text, indent=2) + b"\n"

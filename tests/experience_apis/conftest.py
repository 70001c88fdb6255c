"""An event log of the test's own, a port that serves it, a read model on each database."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis import identity
from chassis.database import Database
from chassis.identity import Signer, Verifier
from chassis.serve import routes
from chassis.server import serving
from chassis.service import service
from contracts.events import CloudEvent
from contracts.ports.process.events import EventPage, Events
from experience_apis.read_model import ReadModel

AT = datetime(2026, 5, 4, 9, tzinfo=UTC)
MIGRATIONS = "experience_apis.migrations"


class Telling:
    """Events as the process tier words them, numbered by one log."""

    def __init__(self) -> None:
        self._positions = itertools.count(1)

    def event(self, type: str, subject: str, data: dict[str, Any]) -> CloudEvent:
        position = next(self._positions)
        return CloudEvent(
            id=f"{type}:{subject}:{position}", source="/acme/process", type=type, subject=subject,
            time=AT + timedelta(seconds=position), data=data, position=position,
        )  # fmt: skip

    def entry(
        self, id: str, state: str, minor: int = 10_000, currency: str = "GBP", minutes: int = 60
    ) -> CloudEvent:
        amount = {"minor": minor, "currency": currency} if currency else None
        data = {"entry_id": id, "billing_state": state, "minutes": minutes, "amount": amount}
        return self.event("firmwire.time_entry.evaluated.v1", id, data)

    def item(
        self, id: str, entry: str, state: str = "OPEN", severity: str = "BLOCK",
        code: str = "PROJECT_UNKNOWN", owner: str = "PMO", minor: int = 0, currency: str = "GBP",
    ) -> CloudEvent:  # fmt: skip
        risk = {"minor": minor, "currency": currency} if minor else None
        data = {
            "id": id, "state": state, "owner": owner, "code": code, "severity": severity,
            "subject_type": "time_entry", "subject_id": entry, "amount_at_risk": risk,
        }  # fmt: skip
        word = "opened" if state == "OPEN" else "resolved"
        return self.event(f"firmwire.exception.{word}.v1", id, data)

    def invoice(
        self, id: str, status: str, minor: int = 50_000, currency: str = "GBP",
        service_to: str | None = None, posted_at: str | None = None,
    ) -> CloudEvent:  # fmt: skip
        data = {
            "id": id, "status": status, "net": {"minor": minor, "currency": currency},
            "service_to": service_to, "posted_at": posted_at,
        }  # fmt: skip
        return self.event(f"firmwire.invoice.{status.lower()}.v1", id, data)


class Log:
    """An Events port over a list: long poll, positions, prefixes; `fails` refusals to come."""

    def __init__(self) -> None:
        self.events: list[CloudEvent] = []
        self.fails: list[Exception] = []
        self.asked: list[int] = []
        self._grown = asyncio.Condition()

    async def tell(self, *events: CloudEvent) -> None:
        async with self._grown:
            self.events.extend(events)
            self._grown.notify_all()

    async def feed(
        self, after: int = 0, limit: int = 500, wait_s: float = 0.0, types: str | None = None
    ) -> EventPage:
        self.asked.append(after)
        if self.fails:
            raise self.fails.pop(0)
        prefixes = tuple((types or "").split(","))
        async with self._grown:
            try:
                async with asyncio.timeout(min(wait_s, 1.0)):
                    await self._grown.wait_for(lambda: self._behind(after, prefixes))
            except TimeoutError:
                return EventPage(events=(), after=after)
        found = self._behind(after, prefixes)[:limit]
        return EventPage(events=tuple(found), after=found[-1].position or after)

    def _behind(self, after: int, prefixes: tuple[str, ...]) -> list[CloudEvent]:
        return [e for e in self.events if (e.position or 0) > after and e.type.startswith(prefixes)]


@pytest.fixture
def telling() -> Telling:
    return Telling()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Migrated and empty, of both kinds."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'experience.sqlite'}"
    else:
        url = request.getfixturevalue("postgres_url")
    opened = Database(url, name="experience", durable=False)
    opened.migrate(MIGRATIONS)
    yield opened
    opened.close()


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Database]:
    """SQLite alone, for what does not depend on the kind."""
    opened = Database(f"sqlite:///{tmp_path / 'lite.sqlite'}", name="experience", durable=False)
    opened.migrate(MIGRATIONS)
    yield opened
    opened.close()


@pytest.fixture
def read_model(database: Database) -> ReadModel:
    return ReadModel(database)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """With the keys of all issuers."""
    identity.ensure(tmp_path)
    return tmp_path


@pytest.fixture
def serve_log(home: Path, log: Log) -> Any:
    """An async context manager that serves the log as the process tier does; yields its URL."""
    verifier = Verifier(identity.jwks_file(home))

    @asynccontextmanager
    async def served(port: int = 0) -> AsyncIterator[str]:
        door = service(
            "process", handlers=routes(Events, log, prefix="/process/v1"), verifier=verifier
        )
        async with serving(door, port=port) as url:
            yield url

    return served


@pytest.fixture
def signer(home: Path) -> Signer:
    return Signer.of(home, "gateway")

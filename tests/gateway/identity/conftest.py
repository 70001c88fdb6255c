"""The control plane's database, migrated and empty, and rows that tests need in it."""

import pytest
from sqlalchemy import insert

from chassis import clock
from chassis.database import Database, url_of
from contracts.ids import uuid7
from gateway.control.tables import admin_token
from gateway.identity import sessions
from gateway.identity.tables import person


@pytest.fixture
async def database(tmp_path):
    found = Database(url_of(tmp_path, "gateway"), name="gateway", durable=False)
    found.migrate("gateway.control.migrations")
    yield found
    await found.aclose()


@pytest.fixture
def add_person(database):
    """`add_person("name", role)` -> its id."""

    def add(name: str, role: str = "operator") -> str:
        id = f"person_{uuid7(clock.now())}"
        with database.transaction() as connection:
            connection.execute(insert(person).values(id=id, name=name, role=role, created_ms=0))
        return id

    return add


@pytest.fixture
def add_token(database):
    """`add_token("secret", role)` -> its id."""

    def add(secret: str, role: str = "admin", **more: object) -> str:
        values = {"id": f"admin_{secret}", "digest": sessions.hashed(secret), "created_ms": 0}
        with database.transaction() as connection:
            connection.execute(insert(admin_token).values(**values, role=role, **more))
        return str(values["id"])

    return add

"""Migrations and metadata tell the same story, on both databases."""

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

from chassis.database import Database
from process_apis.tables import ledger, metadata


def test_the_migrated_schema_is_the_metadata(url: str) -> None:
    """A table changed without a migration would work in tests and fail in production."""
    database = Database(url, name="process")
    try:
        database.migrate("process_apis.migrations")
        with database.transaction() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
    finally:
        database.close()


async def test_a_row_is_reversed_at_most_once(world: Any) -> None:
    """Two reversals of one row would pay the client twice."""
    await world.deliver(world.entry())
    first = world.live_rows()[0]
    values = {**first._mapping, "reverses": first.id, "cause_ref": "a", "id": "r1"}
    world.do(lambda c: c.execute(ledger.insert().values(**values)))
    again = values | {"id": "r2", "cause_ref": "b"}
    with pytest.raises(IntegrityError):
        world.do(lambda c: c.execute(ledger.insert().values(**again)))

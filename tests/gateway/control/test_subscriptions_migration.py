"""When consumers get several plans, nobody's rights and nobody's figures change."""

import pytest
from alembic import command
from sqlalchemy import text

from chassis import database
from gateway.control import quota_store, store
from gateway.control.tables import api_key
from gateway.metering.limit import Adjusted

SCRIPTS = "gateway.control.migrations"
BEFORE = (
    "INSERT INTO plan (name, scopes) VALUES ('gold', '[]'), ('tin', '[]')",
    "INSERT INTO consumer (name, plan) VALUES ('acme', 'gold'), ('ben', 'tin')",
    "INSERT INTO api_key (id, consumer, display, digest, pepper, scopes, networks, created_ms) "
    "VALUES ('key_1', 'acme', 'fw_live_aaaa', '1', 'p', '[]', '[]', 0), "
    "('key_2', 'ben', 'fw_live_bbbb', '2', 'p', '[]', '[]', 0)",
    "INSERT INTO usage_hour VALUES (3600, 'acme', 'key_1', 'r', '', 7, 1, 2, 0), "
    "(3600, '', '', 'r', '', 9, 9, 0, 0)",
    "INSERT INTO adjusted VALUES ('acme', 'month', 3, 500, 9999999999)",
)


@pytest.mark.parametrize("where", ["sqlite", "postgres"])
def test_keys_figures_and_raises_stay_what_they_were(where, tmp_path, request):
    """Up, and down again."""
    url = f"sqlite:///{tmp_path / 'g.sqlite'}"
    if where == "postgres":
        url = request.getfixturevalue("postgres_url")
    here = database.Database(url, name="t", threads=1)
    with here._writing.begin() as connection:
        command.upgrade(database._config(SCRIPTS, connection), "0009")
        for statement in BEFORE:
            connection.execute(text(statement))
    here.migrate(SCRIPTS)
    with here.transaction() as connection:
        assert [(one.name, one.plans) for one in store.consumers_all(connection)] == [
            ("acme", ("gold",)), ("ben", ("tin",)),
        ]  # fmt: skip
        assert set(connection.execute(api_key.select().with_only_columns(api_key.c.plan))) == {
            ("",)
        }
        assert (Adjusted("acme", "gold", "month", 3, 500, 9999999999),) == quota_store.adjusted_all(
            connection
        )
        used = connection.execute(text("SELECT consumer, plan, requests FROM usage_hour"))
        assert {("acme", "gold", 7), ("", "", 9)} == {tuple(row) for row in used}
        store.subscribe(connection, "acme", "tin", "", "test")
        values = "(3600, 'acme', 'key_1', 'r', '', 'tin', 1, 0, 0, 0)"
        connection.execute(text(f"INSERT INTO usage_hour VALUES {values}"))
    with here._writing.begin() as connection:
        command.downgrade(database._config(SCRIPTS, connection), "0009")
        used = connection.execute(text("SELECT consumer, requests FROM usage_hour"))
        assert {("acme", 8), ("", 9)} == {tuple(row) for row in used}
        kept = connection.execute(text("SELECT * FROM adjusted")).one()
        assert tuple(kept) == ("acme", "month", 3, 500, 9999999999)
        assert connection.execute(text("SELECT count(*) FROM api_key")).scalar_one() == 2
    here.close()

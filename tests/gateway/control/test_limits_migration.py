"""Plans and routes of before keep what they promised when limits become a list."""

import json

import msgspec
from alembic import command
from sqlalchemy import text

from chassis import database
from gateway.metering.limit import Limit
from gateway.routes import Route

SCRIPTS = "gateway.control.migrations"
PLANS = [("a", 0.1, 3, 0), ("b", 50.0, 100, 1_000_000), ("c", 0.0, 0, 0), ("d", 0.33, 0, 7)]
RULES = {
    "authenticate": {}, "authorise": {"scope": "system"},
    "rate_limit": {"rate_per_s": 5.0, "burst": 20}, "quota": {},
}  # fmt: skip


def test_old_columns_become_limits(tmp_path):
    """The rate over a whole window, the burst, the quota; two policies of a route are one."""
    here = database.Database(f"sqlite:///{tmp_path / 'g.sqlite'}", name="t", threads=1)
    with here._writing.begin() as connection:
        command.upgrade(database._config(SCRIPTS, connection), "0005")
        for name, rate, burst, quota in PLANS:
            connection.execute(
                text("INSERT INTO plan (name, scopes, rate_per_s, burst, quota_per_month) "
                     "VALUES (:n, '[]', :r, :b, :q)"),
                {"n": name, "r": rate, "b": burst, "q": quota},
            )  # fmt: skip
        route = {"name": "r", "prefix": "/r", "upstream": "u", "policies": RULES}
        connection.execute(
            text("INSERT INTO applied (kind, name, definition) VALUES ('route', 'r', :d)"),
            {"d": json.dumps(route)},
        )
    here.migrate(SCRIPTS)
    with here._writing.begin() as connection:
        rows = connection.execute(text("SELECT name, limits FROM plan ORDER BY name")).all()
        definition = connection.execute(text("SELECT definition FROM applied")).scalar_one()
    here.close()
    found = {
        name: [
            (one.name, one.amount, one.window_s, one.most)
            for one in msgspec.convert(json.loads(limits), tuple[Limit, ...])
        ]
        for name, limits in rows
    }
    assert found == {
        "a": [("rate", 1, 10, 3)],
        "b": [("rate", 50, 1, 100), ("month", 1_000_000, 1, 1_000_000)],
        "c": [],
        "d": [("rate", 198, 600, 1), ("month", 7, 1, 7)],
    }
    seen = msgspec.convert(json.loads(definition), Route).policies
    expected = {"name": "rate", "kind": "rate", "amount": 5, "burst": 20}
    assert seen["meter"] == {"limits": [expected]}
    assert {"rate_limit", "quota"} & seen.keys() == set()

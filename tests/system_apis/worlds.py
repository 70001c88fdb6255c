"""The vendors that the conformance suite runs on: each one's own side, and our connector to it.

A vendor takes part by a module in conformance/ with: settings(url, **changed), WRONG (settings the
vendor refuses), STREAM (its feed under test), PUTS, ABSENT, and for an ERP document() etc. In our
sandbox also seed(store), KIND with row(number, at, name), growing(store). A real server instead
gives there(request), its own side past the connector with all that Sandboxed has; MARKS for its
tests; and CANNOT: of each misfortune that it cannot be told to have, why not. A PSA also has
recorded(there, numbers) and corrected(there, number), which makes an entry one of 7 minutes; an
HCM has hired(there), the person number of somebody.
"""

import importlib.util
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from contracts.ports.system.erp import Erp
from contracts.ports.system.hcm import Hcm
from contracts.ports.system.psa import Psa
from sandbox.faults import Match, Rule
from sandbox.serve import running
from system_apis.app import connectors

HERE = Path(__file__).parent / "conformance"
AT = "2026-01-05T08:00:00.000000+00:00"
CONNECTORS = {
    vendor: connector
    for vendor, connector in connectors().items()
    if (HERE / f"{vendor}.py").exists()
}


def part(vendor):
    """The vendor's own module, loaded under a name no package has."""
    spec = importlib.util.spec_from_file_location(f"conformance_{vendor}", HERE / f"{vendor}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def params(vendors, *more):
    return [pytest.param(v, *more, marks=getattr(part(v), "MARKS", ())) for v in sorted(vendors)]


def _providing(port):
    return [vendor for vendor, made in CONNECTORS.items() if port in made.provides.values()]


ERPS, PSAS, HCMS = _providing(Erp), _providing(Psa), _providing(Hcm)


class Sandboxed:
    """A vendor in our sandbox: its truth, and its faults."""

    def __init__(self, vendor, own, up):
        self.own, self.up, self.url = own, up, f"{up.url}/{vendor}"
        self.house = up.sandbox.houses[vendor]
        self.store = self.house.store
        own.seed(self.store)

    def strike(self, name, method, prefix, count, **args):
        match = Match(method=method, path_prefix=prefix)
        self.house.schedule.set([Rule(fault=name, match=match, args=args, count=count)])

    def calm(self):
        self.house.schedule.set([])

    async def gone(self):
        self.up.server.should_exit = True

    def count(self, kind):
        return self.store.count(kind)

    def put_rows(self, numbers):
        """All at one moment; their ids."""
        rows = [self.own.row(number, AT) for number in numbers]
        self.store.bulk_put(self.own.KIND, rows)
        return {row.id for row in rows}

    def change(self, number, name):
        """Its id."""
        row = self.own.row(number, name=name)
        self.store.put(self.own.KIND, row.id, row.doc, unique=row.unique)
        return row.id

    def growing(self):
        return self.own.growing(self.store)


@asynccontextmanager
async def sandboxed(request, vendor, own):
    with running(request.getfixturevalue("tmp_path"), vendors=[vendor]) as up:
        yield Sandboxed(vendor, own, up)


class World:
    """A running vendor and our connector to it. there: the vendor's own side."""

    def __init__(self, vendor, own, there):
        self.vendor, self.own, self.there = vendor, own, there
        self.connector = self.opened()

    def opened(self, **changed):
        settings = self.own.settings(self.there.url, **changed)
        return CONNECTORS[self.vendor].open(settings, self.vendor)

    def needs(self, what):
        if reason := getattr(self.own, "CANNOT", {}).get(what):
            pytest.skip(reason)

    async def fault(self, name, method="", prefix="/", count=None, **args):
        """From now on; the token is fetched before, so that only the call itself is struck."""
        self.needs(name)
        self.there.calm()
        await self.connector.health()
        self.there.strike(name, method, prefix, count, **args)

    async def read(self, cursor=None, limit=3):
        """Every page until nothing more waits: items, the last cursor, the pages."""
        return await self._whole(
            lambda at: self.connector.changes(self.own.STREAM, at, limit), cursor
        )

    async def read_time(self, cursor=None, limit=2):
        """The same of recorded time."""
        return await self._whole(lambda at: self.connector.time_entries(at, limit), cursor)

    async def _whole(self, ask, cursor):
        items, pages = [], 0
        while True:
            page = await ask(cursor)
            items += page.items
            cursor, pages = page.next_cursor, pages + 1
            assert cursor is not None
            assert pages < 60
            if not page.more:
                return items, cursor, pages


@asynccontextmanager
async def open_world(request, vendor):
    own = part(vendor)
    lend = getattr(own, "there", None)
    async with lend(request) if lend else sandboxed(request, vendor, own) as there:
        made = World(vendor, own, there)
        try:
            yield made
        finally:
            there.calm()
            await made.connector.aclose()

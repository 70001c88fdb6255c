"""One suite for every connector: what the ports promise, over a real socket, also in misfortune.

A vendor takes part by a module in conformance/ with: seed(store), settings(url, **changed), WRONG
(settings the vendor refuses), STREAM and KIND with row(number, at, name) (its feed under test),
TOKEN (path of its token endpoint), PUTS, ABSENT, growing(store), and for an ERP document() etc.
A vendor that is not in our sandbox gives world(tmp_path) in place of the sandbox; without faults
there, the tests that need them are skipped.
"""

import importlib.util
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chassis import clock
from contracts.ports.system.erp import Erp
from contracts.ports.system.psa import ApprovalRequest
from contracts.problem import Fault, Problem
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
ERPS = [vendor for vendor, connector in CONNECTORS.items() if Erp in connector.provides.values()]


def part(vendor):
    """The vendor's own module, loaded under a name no package has."""
    spec = importlib.util.spec_from_file_location(f"conformance_{vendor}", HERE / f"{vendor}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class World:
    """A running vendor and our connector to it."""

    def __init__(self, vendor, module, up):
        self.vendor, self.own, self.up = vendor, module, up
        self.house = up.sandbox.houses[vendor]
        self.store = self.house.store
        self.connector = self.opened()

    def opened(self, **changed):
        url = f"{self.up.url}/{self.vendor}"
        return CONNECTORS[self.vendor].open(self.own.settings(url, **changed), self.vendor)

    async def fault(self, name, method="", prefix="/", count=None, **args):
        """From now on; the token is fetched before, so that only the call itself is struck."""
        self.house.schedule.set([])
        await self.connector.health()
        match = Match(method=method, path_prefix=prefix)
        self.house.schedule.set([Rule(fault=name, match=match, args=args, count=count)])

    def calm(self):
        self.house.schedule.set([])

    def put_rows(self, numbers, at=AT, name="N"):
        rows = [self.own.row(number, at, name) for number in numbers]
        self.store.bulk_put(self.own.KIND, rows)
        return {row.id for row in rows}

    def change(self, number, name="changed"):
        row = self.own.row(number, name=name)
        self.store.put(self.own.KIND, row.id, row.doc, unique=row.unique)
        return row.id

    async def read(self, cursor=None, limit=3):
        """Every page until nothing more waits: items, the last cursor, the pages."""
        items, pages = [], 0
        while True:
            page = await self.connector.changes(self.own.STREAM, cursor, limit)
            items += page.items
            cursor, pages = page.next_cursor, pages + 1
            assert cursor is not None
            assert pages < 60
            if not page.more:
                return items, cursor, pages


@asynccontextmanager
async def open_world(vendor, tmp_path):
    module = part(vendor)
    with running(tmp_path, vendors=[vendor]) as up:
        module.seed(up.sandbox.houses[vendor].store)
        world = World(vendor, module, up)
        try:
            yield world
        finally:
            world.calm()
            await world.connector.aclose()


@pytest.fixture(params=sorted(CONNECTORS))
async def world(request, tmp_path):
    async with open_world(request.param, tmp_path) as made:
        yield made


@pytest.fixture(params=sorted(ERPS))
async def erp(request, tmp_path):
    async with open_world(request.param, tmp_path) as made:
        yield made


def keys(items):
    return {(item.ref.id, item.source_version) for item in items}


async def test_health_quota_and_streams_answer(world):
    """A vendor that is there is UP; a quota has some limit; the feed under test is listed."""
    assert (await world.connector.health()).state == "UP"
    assert (await world.connector.quota()).concurrency >= 1
    assert world.own.STREAM in await world.connector.streams()


async def test_every_stream_can_be_read_from_the_beginning(world):
    """No stream of the list is a promise only: each has a page, and a cursor to go on from."""
    for stream in await world.connector.streams():
        page = await world.connector.changes(stream)
        again = await world.connector.changes(stream, page.next_cursor)
        assert again.next_cursor is not None


async def test_a_feed_pages_through_records_of_one_moment(world):
    """Many records with one timestamp come in pages, and not one is lost."""
    ids = world.put_rows(range(1, 9))
    items, _, pages = await world.read(limit=3)
    assert ids <= {item.ref.id for item in items}
    assert pages >= 3


async def test_a_feed_tells_what_changed_after_the_cursor(world):
    """An update after the last page comes with the next reading, in a newer version."""
    world.put_rows(range(1, 6))
    items, cursor, _ = await world.read()
    changed = world.change(3)
    news, cursor, _ = await world.read(cursor)
    was = {item.ref.id: item.source_version for item in items}
    assert changed in {i.ref.id for i in news if i.source_version > was.get(i.ref.id, 0)}


async def test_a_change_while_we_page_is_not_lost(world):
    """A record that changes between two pages is told by the end of the reading after."""
    ids = world.put_rows(range(1, 9))
    first = await world.connector.changes(world.own.STREAM, None, 3)
    changed = world.change(2, "moved")
    rest, cursor, _ = await world.read(first.next_cursor)
    later, _, _ = await world.read(cursor)
    told = [*first.items, *rest, *later]
    newest = max(i.source_version for i in told if i.ref.id == changed)
    assert newest > min(item.source_version for item in told)
    assert ids <= {item.ref.id for item in told}


async def test_reading_again_does_no_harm(world):
    """The same cursor twice gives the same; after the end only what is known comes again."""
    world.put_rows(range(1, 6))
    first = await world.connector.changes(world.own.STREAM, None, 3)
    again = await world.connector.changes(world.own.STREAM, None, 3)
    assert keys(first.items) == keys(again.items)
    items, cursor, _ = await world.read()
    for _ in range(3):
        more, cursor, _ = await world.read(cursor)
        assert keys(more) <= keys(items)


async def test_an_unknown_stream_is_not_found(world):
    with pytest.raises(Problem) as caught:
        await world.connector.changes("horoscope")
    assert caught.value.fault is Fault.NOT_FOUND


async def test_a_cursor_of_somebody_else_is_invalid(world):
    with pytest.raises(Problem) as caught:
        await world.connector.changes(world.own.STREAM, "garbage")
    assert caught.value.fault is Fault.INVALID


async def test_what_is_not_there_is_none(world):
    """None is an answer, never an error, and never somebody else's record."""
    for look in world.own.ABSENT:
        assert await look(world.connector) is None


async def test_wrong_credentials_are_told_as_such(world):
    connector = world.opened(**world.own.WRONG)
    try:
        with pytest.raises(Problem) as caught:
            await connector.changes(world.own.STREAM)
        assert caught.value.fault is Fault.VENDOR_AUTH
        assert (await connector.health()).state == "DOWN"
    finally:
        await connector.aclose()


async def test_a_closed_vendor_is_in_maintenance(world):
    await world.fault("maintenance")
    with pytest.raises(Problem) as caught:
        await world.connector.changes(world.own.STREAM)
    assert caught.value.fault is Fault.VENDOR_MAINTENANCE
    assert (await world.connector.health()).state == "MAINTENANCE"


async def test_a_used_up_quota_is_told_as_such(world):
    await world.fault("rate_limited")
    with pytest.raises(Problem) as caught:
        await world.connector.changes(world.own.STREAM)
    assert caught.value.fault is Fault.VENDOR_THROTTLED
    assert (await world.connector.health()).state == "DEGRADED"


async def test_a_vendor_that_is_gone_is_down(tmp_path):
    """Nothing was sent, and the Problem says so: every vendor, one after the other."""
    for vendor in sorted(CONNECTORS):
        async with open_world(vendor, tmp_path / vendor) as made:
            await made.connector.health()
            connector = made.connector
            made.up.server.should_exit = True
            until_s = clock.monotonic() + 10
            problem = None
            while problem is None and clock.monotonic() < until_s:
                try:
                    await connector.changes(made.own.STREAM)
                except Problem as caught:
                    problem = caught if caught.fault is Fault.VENDOR_DOWN else None
            assert problem is not None, vendor
            assert (await connector.health()).state == "DOWN"


async def test_a_field_nobody_knows_is_counted(world):
    """Drift is reported, and nothing breaks by it."""
    world.put_rows(range(1, 3))
    await world.read()
    before = (await world.connector.health()).drifted_fields
    with world.own.growing(world.store) as look:
        await look(world.connector)
    assert (before, (await world.connector.health()).drifted_fields) == (0, 1)


def _puts():
    return [(vendor, name) for vendor in sorted(CONNECTORS) for name in part(vendor).PUTS]


@pytest.mark.parametrize(("vendor", "name"), _puts())
@pytest.mark.parametrize("fault", [None, "cut_line", "timeout_after_commit", "error_after_commit"])
async def test_create_or_match_makes_one_record(tmp_path, vendor, name, fault):
    """Twice is as once, also when the answer to the first was lost on the way."""
    async with open_world(vendor, tmp_path) as made:
        put, find, kind, (method, prefix) = made.own.PUTS[name]
        before = made.store.count(kind)
        if fault:
            await made.fault(fault, method, prefix, count=1, hang_s=2)
            lost = None
            try:
                await put(made.connector)
            except Problem as problem:
                lost = problem
            assert lost is None or lost.ambiguous
            made.calm()
        first, second = await put(made.connector), await put(made.connector)
        assert first.ref == second.ref
        assert not second.created
        assert first.created or fault
        assert made.store.count(kind) == before + 1
        if find:
            assert (await find(made.connector)).ref == first.ref


async def test_an_invoice_is_posted_once(erp):
    """What was posted is found by our reference with our hash; a second post changes nothing."""
    own, kind = erp.own, erp.own.INVOICES[0]
    made = await erp.connector.post_invoice(own.document())
    assert (made.reference, made.content_hash) == ("T-LE-UK-INV-1", "abc123")
    assert made.net == own.document().net
    assert made.number
    with pytest.raises(Problem) as caught:
        await erp.connector.post_invoice(own.document())
    assert caught.value.fault is Fault.CONFLICT
    assert erp.store.count(kind) == 1
    assert await erp.connector.invoice_by_reference("T-LE-UK-INV-1") == made
    assert await erp.connector.invoice(made.ref.id) == made


async def test_posted_invoices_are_listed_by_prefix_and_day(erp):
    """The reconciliation's view: half-open days, our prefix only, amounts as posted."""
    document = erp.own.document()
    made = await erp.connector.post_invoice(document)
    day = document.invoice_date
    page = await erp.connector.invoices("T-LE-UK", day, day.replace(year=day.year + 1))
    assert [(i.ref, i.net, i.content_hash) for i in page.items] == [
        (made.ref, made.net, made.content_hash)
    ]
    assert (await erp.connector.invoices("OTHER", day, day.replace(year=2027))).items == ()
    assert (await erp.connector.invoices("T-LE-UK", day.replace(day=1), day)).items == ()


@pytest.mark.parametrize("fault", ["timeout_after_commit", "error_after_commit"])
async def test_a_lost_answer_to_a_posting_is_silence(erp, fault):
    """It may have happened: the fault says so, and a look by reference tells that it did."""
    await erp.fault(fault, *erp.own.INVOICES[1], count=1, hang_s=2)
    with pytest.raises(Problem) as caught:
        await erp.connector.post_invoice(erp.own.document())
    assert caught.value.fault is Fault.VENDOR_SILENT
    erp.calm()
    found = await erp.connector.invoice_by_reference("T-LE-UK-INV-1")
    assert found is not None
    assert found.content_hash == "abc123"


@pytest.mark.parametrize(
    ("fault", "meant"),
    [("rate_limited", Fault.VENDOR_THROTTLED), ("maintenance", Fault.VENDOR_MAINTENANCE)],
)
async def test_a_posting_that_was_refused_at_the_door_did_nothing(erp, fault, meant):
    await erp.fault(fault, *erp.own.INVOICES[1])
    with pytest.raises(Problem) as caught:
        await erp.connector.post_invoice(erp.own.document())
    assert caught.value.fault is meant
    assert not caught.value.ambiguous
    assert erp.store.count(erp.own.INVOICES[0]) == 0


@pytest.mark.parametrize(
    ("which", "code"), [("CLOSED", "PERIOD_CLOSED"), ("NO_CUSTOMER", "CUSTOMER_REF_MISSING")]
)
async def test_refused_content_names_the_work_item(erp, which, code):
    """Finance gets the code it can act on, not the vendor's prose."""
    with pytest.raises(Problem) as caught:
        await erp.connector.post_invoice(getattr(erp.own, which)())
    assert caught.value.fault is Fault.VENDOR_REJECTED
    assert caught.value.vendor.exception_code == code


async def test_kantata_approves_more_entries_than_a_page_holds(tmp_path):
    """Ids go out in pages of the vendor's size, and every one of them is approved."""
    async with open_world("kantata", tmp_path) as made:
        ids = [str(number) for number in range(1, 252)]
        sheets = {"91": ids[:100], "92": ids[100:200], "93": ids[200:]}
        rows = [made.own.submission(sheet, on) for sheet, on in sheets.items()]
        made.store.bulk_put("timesheet_submissions", rows)
        rows = [made.own.waiting(id, sheet) for sheet, on in sheets.items() for id in on]
        made.store.bulk_put("time_entries", rows)
        await made.connector.approve_time(ApprovalRequest(entry_ids=tuple(ids)))
        approved = [made.store.get("time_entries", id)["approved"] for id in ids]
        assert approved == [True] * len(ids)
        assert made.house.calls["GET", "/api/v1/{collection}", "200"] == 2

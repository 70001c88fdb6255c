"""One suite for every connector: what the ports promise, over a real socket, also in misfortune.

How a vendor takes part is said in worlds.py.
"""

import pytest
from worlds import CONNECTORS, ERPS, HCMS, PSAS, open_world, params, part

from chassis import clock
from contracts.ports.system.psa import ApprovalRequest
from contracts.problem import Fault, Problem


@pytest.fixture(params=params(CONNECTORS))
async def world(request):
    async with open_world(request, request.param) as made:
        yield made


@pytest.fixture(params=params(ERPS))
async def books(request):
    """The world of an ERP."""
    async with open_world(request, request.param) as made:
        yield made


@pytest.fixture(params=params(PSAS))
async def psa(request):
    async with open_world(request, request.param) as made:
        yield made


@pytest.fixture(params=params(HCMS))
async def hcm(request):
    async with open_world(request, request.param) as made:
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
    ids = world.there.put_rows(range(1, 9))
    items, _, pages = await world.read(limit=3)
    assert ids <= {item.ref.id for item in items}
    assert pages >= 3


async def test_a_feed_tells_what_changed_after_the_cursor(world):
    """An update after the last page comes with the next reading, in a newer version."""
    world.there.put_rows(range(1, 6))
    items, cursor, _ = await world.read()
    changed = world.there.change(3, "changed")
    news, cursor, _ = await world.read(cursor)
    was = {item.ref.id: item.source_version for item in items}
    assert changed in {i.ref.id for i in news if i.source_version > was.get(i.ref.id, 0)}


async def test_a_change_while_we_page_is_not_lost(world):
    """A record that changes between two pages is told by the end of the reading after."""
    ids = world.there.put_rows(range(1, 9))
    first = await world.connector.changes(world.own.STREAM, None, 3)
    changed = world.there.change(2, "moved")
    rest, cursor, _ = await world.read(first.next_cursor)
    later, _, _ = await world.read(cursor)
    told = [*first.items, *rest, *later]
    newest = max(i.source_version for i in told if i.ref.id == changed)
    assert newest > min(item.source_version for item in told)
    assert ids <= {item.ref.id for item in told}


async def test_reading_again_does_no_harm(world):
    """The same cursor twice gives the same; after the end only what is known comes again."""
    world.there.put_rows(range(1, 6))
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


async def test_a_vendor_that_is_gone_is_down(world):
    """Nothing was sent, and the Problem says so."""
    await world.connector.health()
    await world.there.gone()
    until_s = clock.monotonic() + 10
    problem = None
    while problem is None and clock.monotonic() < until_s:
        try:
            await world.connector.changes(world.own.STREAM)
        except Problem as caught:
            problem = caught if caught.fault is Fault.VENDOR_DOWN else None
    assert problem is not None
    assert (await world.connector.health()).state == "DOWN"


async def test_a_field_nobody_knows_is_counted(world):
    """Drift is reported, and nothing breaks by it."""
    world.needs("drift")
    world.there.put_rows(range(1, 3))
    await world.read()
    before = (await world.connector.health()).drifted_fields
    with world.there.growing() as look:
        await look(world.connector)
    assert (before, (await world.connector.health()).drifted_fields) == (0, 1)


def _puts():
    return [one for v in CONNECTORS for name in part(v).PUTS for one in params([v], name)]


@pytest.mark.parametrize(("vendor", "name"), _puts())
@pytest.mark.parametrize("fault", [None, "cut_line", "timeout_after_commit", "error_after_commit"])
async def test_create_or_match_makes_one_record(request, vendor, name, fault):
    """Twice is as once, also when the answer to the first was lost on the way."""
    async with open_world(request, vendor) as made:
        put, find, kind, (method, prefix) = made.own.PUTS[name]
        before = made.there.count(kind)
        if fault:
            await made.fault(fault, method, prefix, count=1, hang_s=2)
            lost = None
            try:
                await put(made.connector)
            except Problem as problem:
                lost = problem
            assert lost is None or lost.ambiguous
            made.there.calm()
        first, second = await put(made.connector), await put(made.connector)
        assert first.ref == second.ref
        assert not second.created
        assert first.created or fault
        assert made.there.count(kind) == before + 1
        if find:
            assert (await find(made.connector)).ref == first.ref


async def test_an_invoice_is_posted_once(books):
    """What was posted is found by our reference with our hash; a second post changes nothing."""
    own, kind = books.own, books.own.INVOICES[0]
    made = await books.connector.post_invoice(own.document())
    assert (made.reference, made.content_hash) == ("T-LE-UK-INV-1", "abc123")
    assert made.net == own.document().net
    assert made.number
    with pytest.raises(Problem) as caught:
        await books.connector.post_invoice(own.document())
    assert caught.value.fault is Fault.CONFLICT
    assert books.there.count(kind) == 1
    assert await books.connector.invoice_by_reference("T-LE-UK-INV-1") == made
    assert await books.connector.invoice(made.ref.id) == made


async def test_posted_invoices_are_listed_by_prefix_and_day(books):
    """The reconciliation's view: half-open days, our prefix only, amounts as posted."""
    document = books.own.document()
    made = await books.connector.post_invoice(document)
    day = document.invoice_date
    later = day.replace(year=day.year + 1)
    page = await books.connector.invoices("T-LE-UK", day, later)
    assert [(i.ref, i.net, i.content_hash) for i in page.items] == [
        (made.ref, made.net, made.content_hash)
    ]
    assert (await books.connector.invoices("OTHER", day, later)).items == ()
    assert (await books.connector.invoices("T-LE-UK", day.replace(day=1), day)).items == ()


async def test_posted_invoices_come_in_pages(books):
    """Each once; and a cursor that is none of ours is refused, not taken for the beginning."""
    connector, day = books.connector, books.own.document().invoice_date
    later = day.replace(year=day.year + 1)
    refs = [(await connector.post_invoice(books.own.document(f"PAGE-{n}"))).ref for n in range(3)]
    first = await connector.invoices("PAGE-", day, later, None, 2)
    rest = await connector.invoices("PAGE-", day, later, first.next_cursor, 2)
    assert (first.more, rest.more, rest.next_cursor) == (True, False, None)
    assert [i.ref for i in (*first.items, *rest.items)] == refs
    with pytest.raises(Problem) as caught:
        await connector.invoices("PAGE-", day, later, "garbage")
    assert caught.value.fault is Fault.INVALID


async def test_recorded_time_comes_in_pages_and_again_when_it_changes(psa):
    """No entry is lost between pages, and a correction is a newer version of the same."""
    ids = psa.own.recorded(psa.there, range(1, 6))
    items, cursor, pages = await psa.read_time()
    was = {item.ref.id: item for item in items}
    assert was.keys() == ids
    assert pages >= 3
    id = psa.own.corrected(psa.there, 3)
    news, cursor, _ = await psa.read_time(cursor)
    now = {item.ref.id: item for item in news}
    assert (now[id].minutes, was[id].minutes) == (7, 60)
    assert now[id].source_version > was[id].source_version
    assert await psa.connector.time_entry(id) == now[id]
    with pytest.raises(Problem) as caught:
        await psa.connector.time_entries("garbage")
    assert caught.value.fault is Fault.INVALID


async def test_a_person_is_found_by_number_and_by_id(hcm):
    reference = hcm.own.hired(hcm.there)
    found = await hcm.connector.worker_by_reference(reference)
    assert found.code == reference
    same = await hcm.connector.worker(found.ref.id)
    assert (same.ref, same.code, same.name) == (found.ref, found.code, found.name)
    page = await hcm.connector.changes("resource")
    assert reference in {person.code for person in page.items}


@pytest.mark.parametrize("fault", ["timeout_after_commit", "error_after_commit"])
async def test_a_lost_answer_to_a_posting_is_silence(books, fault):
    """It may have happened: the fault says so, and a look by reference tells that it did."""
    await books.fault(fault, *books.own.INVOICES[1], count=1, hang_s=2)
    with pytest.raises(Problem) as caught:
        await books.connector.post_invoice(books.own.document())
    assert caught.value.fault is Fault.VENDOR_SILENT
    books.there.calm()
    found = await books.connector.invoice_by_reference("T-LE-UK-INV-1")
    assert found is not None
    assert found.content_hash == "abc123"


@pytest.mark.parametrize(
    ("fault", "meant"),
    [("rate_limited", Fault.VENDOR_THROTTLED), ("maintenance", Fault.VENDOR_MAINTENANCE)],
)
async def test_a_posting_that_was_refused_at_the_door_did_nothing(books, fault, meant):
    await books.fault(fault, *books.own.INVOICES[1])
    with pytest.raises(Problem) as caught:
        await books.connector.post_invoice(books.own.document())
    assert caught.value.fault is meant
    assert not caught.value.ambiguous
    assert books.there.count(books.own.INVOICES[0]) == 0


@pytest.mark.parametrize(
    ("which", "code"), [("CLOSED", "PERIOD_CLOSED"), ("NO_CUSTOMER", "CUSTOMER_REF_MISSING")]
)
async def test_refused_content_names_the_work_item(books, which, code):
    """Finance gets the code it can act on, not the vendor's prose."""
    with pytest.raises(Problem) as caught:
        await books.connector.post_invoice(getattr(books.own, which)())
    assert caught.value.fault is Fault.VENDOR_REJECTED
    assert caught.value.vendor.exception_code == code


async def test_kantata_approves_more_entries_than_a_page_holds(request):
    """Ids go out in pages of the vendor's size, and every one of them is approved."""
    async with open_world(request, "kantata") as made:
        ids = [str(number) for number in range(1, 252)]
        sheets = {"91": ids[:100], "92": ids[100:200], "93": ids[200:]}
        rows = [made.own.submission(sheet, on) for sheet, on in sheets.items()]
        made.there.store.bulk_put("timesheet_submissions", rows)
        rows = [made.own.waiting(id, sheet) for sheet, on in sheets.items() for id in on]
        made.there.store.bulk_put("time_entries", rows)
        await made.connector.approve_time(ApprovalRequest(entry_ids=tuple(ids)))
        approved = [made.there.store.get("time_entries", id)["approved"] for id in ids]
        assert approved == [True] * len(ids)
        assert made.there.house.calls["GET", "/api/v1/{collection}", "200"] == 2


async def test_kantata_tells_a_change_in_the_second_of_the_last_reading(request):
    """Its times are whole seconds: the same newest time does not mean that nothing is new."""
    async with open_world(request, "kantata") as made:
        made.own.recorded(made.there, [1], at=None)
        _, cursor, _ = await made.read_time()
        made.own.corrected(made.there, 1)
        news, _, _ = await made.read_time(cursor)
        assert [entry.minutes for entry in news] == [7]

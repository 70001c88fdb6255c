"""Laws of rules and invoices: exact prices, sums that add up, and the same answer every time."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.entities.engagement import RateLine
from contracts.entities.ledger import BillableTransaction
from contracts.ids import Ref
from contracts.money import Money, money
from process_apis.journeys.approved_time_to_invoice.invoicing import group, spread_billed
from process_apis.journeys.approved_time_to_invoice.rules import Snapshot, evaluate

D = Decimal
TODAY = date(2026, 5, 31)
quietly = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
rates = st.decimals("0.01", "999", places=4)
work = st.lists(st.integers(1, 720), min_size=1, max_size=25)


def priced(world: Any, rate: Decimal) -> Snapshot:
    world.change("card", lines=(RateLine(id="L1", role="SENIOR", rate=rate),))
    return world.snapshot()


def rows_of(world: Any, snapshot: Snapshot, minutes: list[int]) -> list[BillableTransaction]:
    rows = []
    for i, each in enumerate(minutes):
        day = date(2026, 4, 1) + timedelta(days=i)
        entry = world.entry(ref=Ref("kantata", f"e{i:03d}"), work_date=day, minutes=each)
        row = evaluate(entry, snapshot, today=TODAY).transactions[-1]
        fields = {name: getattr(row, name) for name in row.__struct_fields__}
        at = datetime(2026, 5, 1, tzinfo=UTC)
        rows.append(BillableTransaction(**fields, id=f"bt{i:03d}", created_at=at))
    return rows


def half_up(value: Fraction) -> int:
    """Independent of decimal: nearest integer, half away from zero."""
    sign = -1 if value < 0 else 1
    return sign * int(abs(value) + Fraction(1, 2))


def bill(rows: list[BillableTransaction], snapshot: Snapshot) -> Any:
    day = date(2026, 6, 1)
    return group(rows, snapshot, tenant="t", run="r", cutoff=day, invoice_date=day)


@quietly
@given(rate=rates, minutes=work)
def test_the_line_is_the_exact_price_rounded_once(
    world: Any, rate: Decimal, minutes: list[int]
) -> None:
    """Whatever the entries, the net is rate x hours in fractions, rounded once."""
    snapshot = priced(world, rate)
    (draft,) = bill(rows_of(world, snapshot, minutes), snapshot)
    exact = Fraction(rate) * sum(minutes) / 60 * 100
    assert draft.net.minor == half_up(exact)
    assert sum(minor for _, _, minor in draft.billed) == draft.net.minor


@quietly
@given(rate=rates, minutes=work, seed=st.integers())
def test_rows_in_any_order_make_the_same_documents(
    world: Any, rate: Decimal, minutes: list[int], seed: int
) -> None:
    """Byte for byte."""
    snapshot = priced(world, rate)
    rows = rows_of(world, snapshot, minutes)
    mixed = random.Random(seed).sample(rows, len(rows))
    assert msgspec.json.encode(bill(mixed, snapshot)) == msgspec.json.encode(bill(rows, snapshot))


@quietly
@given(minutes=work, seed=st.integers())
def test_evaluation_does_not_depend_on_what_was_asked_before(
    world: Any, minutes: list[int], seed: int
) -> None:
    """A snapshot with kept answers, and one built the other way round, say the same bytes."""
    entries = [
        world.entry(minutes=each, work_date=date(2025, 12, 20) + timedelta(days=7 * i))
        for i, each in enumerate(minutes)
    ]
    world.change("assignment", end=date(2026, 3, 1))
    one = world.snapshot()
    answers = [msgspec.json.encode(evaluate(e, one, today=TODAY)) for e in entries]
    order = random.Random(seed).sample(range(len(entries)), len(entries))
    world.records = dict(reversed(world.records.items()))
    other = world.snapshot()
    again = {i: msgspec.json.encode(evaluate(entries[i], other, today=TODAY)) for i in order}
    assert [again[i] for i in range(len(entries))] == answers


@quietly
@given(
    amounts=st.lists(st.decimals("-500", "500", places=6), min_size=1, max_size=30),
)
def test_what_is_spread_adds_up(amounts: list[Decimal]) -> None:
    """Also with reversals among the rows; no row is off by a whole cent, signs are symmetric."""
    net = money(sum(amounts, D(0)), "GBP")
    rows = [(f"bt{i:03d}", amount) for i, amount in enumerate(amounts)]
    parts = spread_billed(rows, net)
    assert sum(parts.values()) == net.minor
    assert all(abs(parts[id] - amount * 100) <= 1 for id, amount in rows)
    if net.minor:
        negated = spread_billed([(id, -amount) for id, amount in rows], -net)
        assert negated == {id: -minor for id, minor in parts.items()}


def reversed_row(row: BillableTransaction) -> BillableTransaction:
    return msgspec.structs.replace(
        row, id=f"{row.id}-x", bill_minutes=-row.bill_minutes, amount_exact=-row.amount_exact
    )


def test_a_negative_document_is_a_credit_note(world: Any) -> None:
    """Net below zero: CN with its own reference; net of zero: flagged."""
    snapshot = priced(world, D(100))
    (row,) = rows_of(world, snapshot, [60])
    (credit,) = bill([reversed_row(row)], snapshot)
    assert (credit.kind, credit.flag, credit.net) == ("CN", "CREDIT_NOTE", Money(-10000, "GBP"))
    assert "-CN-" in credit.external_ref
    (nothing,) = bill([row, reversed_row(row)], snapshot)
    assert (nothing.kind, nothing.flag, nothing.net) == ("INV", "ZERO", Money(0, "GBP"))


def test_long_documents_are_split(world: Any) -> None:
    """No document is longer than the legal entity allows, and nothing is lost."""
    world.change("le", max_lines_per_invoice=2)
    snapshot = priced(world, D(100))
    rows = [
        msgspec.structs.replace(row, task=f"T{i}")
        for i, row in enumerate(rows_of(world, snapshot, [60] * 5))
    ]
    drafts = bill(rows, snapshot)
    assert [(d.split, len(d.lines)) for d in drafts] == [(0, 2), (1, 2), (2, 1)]
    assert len({d.external_ref for d in drafts}) == 3
    assert sum(d.net.minor for d in drafts) == 50000


def test_orders_projects_and_currencies_are_not_mixed(world: Any) -> None:
    """One document an order; under Peppol one a project; else projects share."""
    snapshot = priced(world, D(100))
    one, two, three = rows_of(world, snapshot, [60, 60, 60])
    rows = [
        one,
        msgspec.structs.replace(two, po="PO-1"),
        msgspec.structs.replace(three, project="P-2"),
    ]
    assert [d.key.po for d in bill(rows, snapshot)] == ["", "PO-1"]
    world.change("account", delivery="PEPPOL")
    projects = [(d.key.po, d.key.project) for d in bill(rows, world.snapshot())]
    assert projects == [("", "P-1"), ("", "P-2"), ("PO-1", "P-1")]


def test_rows_that_are_not_ready_are_left_out(world: Any) -> None:
    """Held, billed, free and later rows stay in the ledger."""
    snapshot = priced(world, D(100))
    (row,) = rows_of(world, snapshot, [60])
    for fields in (
        {"status": "HELD"},
        {"status": "BILLED"},
        {"chargeable": "COMPLIMENTARY"},
        {"type": "COST"},
        {"work_date": date(2026, 6, 1)},
    ):
        assert bill([msgspec.structs.replace(row, **fields)], snapshot) == ()


def test_the_draft_becomes_an_invoice(world: Any) -> None:
    """Nothing is lost on the way to the stored document."""
    snapshot = priced(world, D(100))
    (draft,) = bill(rows_of(world, snapshot, [60]), snapshot)
    invoice = draft.invoice("i1", "run1")
    assert (invoice.status, invoice.net, invoice.lines) == ("DRAFT", draft.net, draft.lines)
    assert (invoice.contract, invoice.content_hash) == ("C-1", draft.content_hash)

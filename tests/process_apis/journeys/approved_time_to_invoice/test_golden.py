"""The golden vectors of the domain that rules and invoices decide; every number is from there."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from contracts.entities.engagement import RateCard, RateLine, TransferPrice
from contracts.entities.ledger import BillableTransaction
from contracts.entities.party import LegalEntity
from contracts.entities.record import CrossReference, coded
from contracts.ids import Ref, external_ref
from contracts.money import Money, money
from process_apis.journeys.approved_time_to_invoice.invoicing import (
    GroupKey,
    group,
    quantity,
    reference_parts,
)
from process_apis.journeys.approved_time_to_invoice.rules import accept, evaluate, peer_of
from process_apis.journeys.approved_time_to_invoice.rules.rows import increment

D = Decimal
AT = datetime(2026, 6, 1, tzinfo=UTC)


def ledger(outcome: Any, prefix: str = "bt") -> list[BillableTransaction]:
    return [
        BillableTransaction(
            **{f: getattr(row, f) for f in row.__struct_fields__},
            id=f"{prefix}-{row.type}-{row.seq}",
            created_at=AT,
        )
        for row in outcome.transactions
    ]


def sales(outcome: Any) -> Any:
    return next(row for row in outcome.transactions if row.type == "UNBILLED_SALES")


def card(world: Any, code: str, owner: str, owner_code: str, *lines: RateLine) -> RateCard:
    return RateCard(
        **world.origin("salesforce", code),
        code=code,
        name=code,
        owner=owner,
        owner_code=owner_code,
        currency="GBP",
        lines=lines,
    )


def price_list(world: Any, *more: RateLine) -> None:
    world.records["card"] = card(
        world,
        "C",
        "CONTRACT",
        "C-1",
        RateLine(id="L1", role="SENIOR", rate=D(140)),
        RateLine(id="L2", role="SENIOR", location="UK", rate=D(150)),
        RateLine(id="L3", resource="P9", rate=D(175), valid_from=date(2026, 4, 1)),
        *more,
    )
    world.records["msa"] = card(
        world,
        "M",
        "CLIENT",
        "ACME",
        RateLine(id="L4", resource="P9", rate=D(160)),
        RateLine(id="L5", role="ANALYST", rate=D(80)),
    )
    world.records["standard"] = card(
        world, "S", "STANDARD", "", RateLine(id="L6", role="PARTNER", rate=D(230))
    )


def person(world: Any, code: str, role: str, location: str) -> None:
    world.change("person", code=code, home_role=coded(role), location=location)
    world.change("assignment", role=coded(role))
    world.change("cost", resource=coded(code))
    world.xrefs[0] = msgspec.structs.replace(world.xrefs[0], code=code)


@pytest.mark.parametrize(
    ("code", "role", "location", "day", "rate", "line", "tier"),
    [
        ("P9", "SENIOR", "UK", date(2026, 3, 31), 150, "L2", "CONTRACT"),
        ("P9", "SENIOR", "UK", date(2026, 4, 1), 175, "L3", "CONTRACT"),
        ("P7", "SENIOR", "IN", date(2026, 4, 1), 140, "L1", "CONTRACT"),
        ("P7", "ANALYST", "IN", date(2026, 4, 1), 80, "L5", "CLIENT"),
    ],
)
def test_1_rate_resolution(
    world: Any, code: str, role: str, location: str, day: date, rate: int, line: str, tier: str
) -> None:
    """The first tier with a match decides, in it the most specific line valid on the day."""
    price_list(world)
    person(world, code, role, location)
    trace = world.judge(work_date=day).rate_trace
    assert (trace.rate, trace.line, trace.tier) == (rate, line, tier)


def test_1_score_of_role_and_location_is_ten(world: Any) -> None:
    """Scores add up as the norm says, and a later line of the person is not yet valid."""
    price_list(world)
    assert world.judge(work_date=date(2026, 3, 31)).rate_trace.score == 10


def test_1e_a_role_without_a_price_is_not_free(world: Any) -> None:
    """No tier matches: RATE_NOT_FOUND, and no sales row."""
    price_list(world)
    person(world, "P7", "JANITOR", "IN")
    outcome = world.judge()
    assert [f.code for f in outcome.findings] == ["RATE_NOT_FOUND"]
    assert [row.type for row in outcome.transactions] == ["COST"]
    assert outcome.amount is None


def test_1f_a_tie_is_never_picked(world: Any) -> None:
    """Two lines of the same score: RATE_AMBIGUOUS."""
    price_list(world, RateLine(id="L7", role="SENIOR", location="UK", rate=D(155)))
    outcome = world.judge(work_date=date(2026, 3, 31))
    assert [f.code for f in outcome.findings] == ["RATE_AMBIGUOUS"]


@pytest.mark.parametrize("day", [date(2026, 3, 31), date(2026, 4, 1)])
def test_1g_the_assignment_overrides(world: Any, day: date) -> None:
    """An assignment's rate beats every card, tie or not."""
    price_list(world, RateLine(id="L7", role="SENIOR", location="UK", rate=D(155)))
    world.change("assignment", bill_rate_override=D(200))
    trace = world.judge(work_date=day).rate_trace
    assert (trace.rate, trace.tier) == (200, "ASSIGNMENT")


def test_1_person_first(world: Any) -> None:
    """In PERSON_FIRST a person's line of a lower tier beats role lines of higher tiers."""
    price_list(world)
    world.policies["resolution_mode"] = "PERSON_FIRST"
    trace = world.judge(work_date=date(2026, 3, 31)).rate_trace
    assert (trace.rate, trace.line, trace.tier) == (160, "L4", "CLIENT")


def document(world: Any, entries: list[dict[str, Any]], **options: Any) -> Any:
    snapshot = world.snapshot()
    rows: list[BillableTransaction] = []
    for number, fields in enumerate(entries):
        entry = world.entry(ref=Ref("kantata", f"e{number}"), **fields)
        outcome = evaluate(entry, snapshot, today=date(2026, 5, 31))
        rows += ledger(outcome, f"bt{number:03d}")
    given = {"tenant": "acme", "run": "run1", "cutoff": date(2026, 6, 1), **options}
    return group(rows, snapshot, invoice_date=date(2026, 6, 1), **given)


def test_2_lines_round_first_and_spread_back(world: Any) -> None:
    """Seven times ten minutes at 125.50 are 146.42, and the rows add up to it."""
    world.change("card", lines=(RateLine(id="L1", role="SENIOR", rate=D("125.50")),))
    days = [{"minutes": 10, "work_date": date(2026, 5, 4) + timedelta(days=i)} for i in range(7)]
    (draft,) = document(world, days)
    assert [line.net for line in draft.lines] == [Money(14642, "GBP")]
    assert [minor for _, _, minor in draft.billed] == [2092] * 5 + [2091] * 2


def test_3_quantity_has_six_decimals(world: Any) -> None:
    """Twenty minutes at 1,000: 333.33, and quantity times price is within 0.02 of it."""
    world.change("card", lines=(RateLine(id="L1", role="SENIOR", rate=D(1000)),))
    (draft,) = document(world, [{"minutes": 20}])
    (line,) = draft.lines
    assert (line.net, line.quantity) == (Money(33333, "GBP"), D("0.333333"))
    assert abs(line.net.amount - line.quantity * line.unit_price) <= D("0.02")
    assert quantity(20) == D("0.333333")


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("12.345", "GBP", 1235), ("-12.345", "GBP", -1235), ("-2.675", "GBP", -268),
     ("2.5", "JPY", 3), ("-2.5", "JPY", -3)],
)  # fmt: skip
def test_4_rounding_is_the_same_on_both_sides_of_zero(
    amount: str, currency: str, minor: int
) -> None:
    """Half away from zero."""
    assert money(D(amount), currency) == Money(minor, currency)


def test_9_equal_thirds_leave_the_cent_to_the_heaviest() -> None:
    """Shares of 33.333333/33.333333/33.333334 over 100.00."""
    from contracts.money import spread

    assert spread(10000, [D("33.333333"), D("33.333333"), D("33.333334")]) == (3333, 3333, 3334)


def test_12_weekend_multiplier(world: Any) -> None:
    """100 an hour, weekend 1.5, 7.5 hours: 1,125.00."""
    world.change(
        "card",
        lines=(RateLine(id="L1", role="SENIOR", rate=D(100)),),
        multipliers={"STANDARD": D(1), "WEEKEND": D("1.5")},
    )
    assert world.judge(minutes=450, rate_class="WEEKEND").amount == Money(112500, "GBP")


@pytest.mark.parametrize(("mode", "minor"), [("NEAREST", 35750), ("UP", 71500), ("DOWN", 35750)])
def test_12_day_card_in_half_days(world: Any, mode: str, minor: int) -> None:
    """Day rate 715 of 7.5 hours, five hours worked."""
    lines = (RateLine(id="L1", role="SENIOR", rate=D(715)),)
    world.change("card", uom="DAY", hours_per_day=D("7.5"), lines=lines)
    world.change("contract", increment_mode=mode)
    assert world.judge(minutes=300).amount == Money(minor, "GBP")


def test_13_increments() -> None:
    """Fifteen-minute increments: up, up by day, nearest with and without zero."""
    assert [increment(m, 15, "UP") for m in (7, 8, 20)] == [15, 15, 30]
    assert increment(35, 15, "UP") == 45
    assert [increment(m, 15, "NEAREST", True) for m in (7, 8, 20)] == [0, 15, 15]
    assert increment(7, 15, "NEAREST") == 15


def test_13_the_contract_increment_is_billed(world: Any) -> None:
    """Twenty minutes billed up to thirty, cost stays at twenty."""
    world.change("contract", increment_minutes=15, increment_mode="UP")
    cost, sold = world.judge(minutes=20).transactions
    assert (cost.op_minutes, sold.bill_minutes, sold.amount_exact) == (20, 30, D(70))


def across(world: Any, *, priced: bool) -> None:
    """A US contract worked by a UK employee."""
    world.records["us"] = LegalEntity(
        **world.origin("netsuite", "1"), code="LE-US", name="US", country="US",
        functional_currency="USD",
    )  # fmt: skip
    world.change("contract", legal_entity=coded("LE-US"), currency="USD")
    world.change("account", legal_entity=coded("LE-US"), currency="USD", bill_to_country="US")
    world.change("card", currency="USD", lines=(RateLine(id="L1", role="SENIOR", rate=D(200)),))
    world.erp["LE-US"] = "netsuite"
    for entity, code in (("tax_code", "LE-US:S"), ("gl_dimension", "LE-US")):
        world.xrefs.append(
            CrossReference(entity=entity, code=code, system="netsuite", external_id=f"x{code}")
        )
    if priced:
        world.records["transfer"] = TransferPrice(
            **world.origin("firmwire", "tp"), code="TP", lender="LE-UK", borrower="LE-US",
            currency="USD", rate=D(120), valid_from=date(2026, 1, 1),
        )  # fmt: skip


def test_16_four_rows_across_entities(world: Any) -> None:
    """Ten hours: 1,200 USD cost, 2,000 USD sales, 880 GBP lent cost, 1,200 USD income."""
    across(world, priced=True)
    outcome = world.judge(minutes=600)
    rows = {r.type: (r.legal_entity, r.amount_exact, r.currency) for r in outcome.transactions}
    assert rows == {
        "COST": ("LE-US", 1200, "USD"),
        "UNBILLED_SALES": ("LE-US", 2000, "USD"),
        "RESOURCING_COST": ("LE-UK", 880, "GBP"),
        "IC_SALES": ("LE-UK", 1200, "USD"),
    }
    assert sum(r.op_minutes for r in outcome.transactions) == 600


def test_16_the_customer_is_billed_while_the_price_between_us_is_missing(world: Any) -> None:
    """INTERCOMPANY_RULE_MISSING holds its own two rows only."""
    across(world, priced=False)
    outcome = world.judge(minutes=600)
    assert [f.code for f in outcome.findings] == ["INTERCOMPANY_RULE_MISSING"]
    assert outcome.findings[0].root == "transfer_price:@LE-UK/LE-US"
    assert outcome.billing_state == "READY"
    assert {r.type: r.status for r in outcome.transactions} == {
        "COST": "HELD",
        "UNBILLED_SALES": "READY",
        "RESOURCING_COST": "RECORDED",
        "IC_SALES": "HELD",
    }
    snapshot = world.snapshot()
    drafts = group(
        ledger(outcome), snapshot, tenant="acme", run="r", cutoff=date(2026, 6, 1),
        invoice_date=date(2026, 6, 1),
    )  # fmt: skip
    assert [draft.net for draft in drafts] == [Money(200000, "USD")]


def test_17_external_ref() -> None:
    """The published digest of the published group."""
    key = GroupKey(
        "LE-UK", "erp-netsuite-emea", "BA-0042", "GBP", "C-1001", "PO-77", "DOMESTIC", "2026-05",
        "EMAIL",
    )  # fmt: skip
    parts = reference_parts("acme", key, "run1", 0)
    assert external_ref("acme", "LE-UK", "INV", parts) == "acme-LE-UK-INV-Z6VF6PGQJO5ZMW3O"


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "Pacific/Honolulu"])
def test_18_the_workers_calendar_decides_the_month(world: Any, zone: str) -> None:
    """The last of May is billed in May, whatever UTC says."""
    at = {
        "Pacific/Auckland": datetime(2026, 5, 31, 11, 30, tzinfo=UTC),
        "Pacific/Honolulu": datetime(2026, 6, 1, 6, tzinfo=UTC),
    }[zone]
    fields = {"work_date": date(2026, 5, 31), "work_timezone": zone, "start_at": at, "minutes": 30}
    (draft,) = document(world, [fields])
    assert (draft.key.period, draft.service_to) == ("2026-05", date(2026, 5, 31))


def day_of(world: Any, hours: list[str]) -> list[Any]:
    snapshot = world.snapshot()
    entries = [
        world.entry(ref=Ref("kantata", f"d{i}"), minutes=int(D(h) * 60), narrative=f"part {i}")
        for i, h in enumerate(hours)
    ]
    peers = [peer_of(entry, snapshot) for entry in entries]
    return [evaluate(e, snapshot, peers=peers, today=date(2026, 5, 31)) for e in entries]


@pytest.mark.parametrize(
    ("hours", "flagged"),
    [(["10", "8", "6", "2"], 4), (["10", "8", "6", "0.5"], 4), (["10", "8", "6"], 0)],
)
def test_19_a_day_has_24_hours(world: Any, hours: list[str], flagged: int) -> None:
    """All entries of an impossible day are flagged; exactly 24 hours pass."""
    outcomes = day_of(world, hours)
    codes = [f.code for o in outcomes for f in o.findings]
    assert codes.count("DAY_OVER_24H") == flagged
    assert [o.billing_state for o in outcomes].count("READY") == len(hours) - flagged


def test_21_versions_in_any_order() -> None:
    """v1, v3, v2, v3, v1, then v3 with another body."""
    stored: tuple[int | None, str | None] = (None, None)
    seen = []
    for version, body in ((1, "a"), (3, "c"), (2, "b"), (3, "c"), (1, "a"), (3, "x")):
        answer = accept(stored[0], stored[1], version, body)
        seen.append(answer)
        if answer == "ACCEPT":
            stored = (version, body)
    assert seen == ["ACCEPT", "ACCEPT", "STALE", "DUPLICATE", "STALE", "CONFLICT"]
    assert stored == (3, "c")

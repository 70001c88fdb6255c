# ruff: noqa: E501 - one case a line is the point
"""Each exception code fires when it should, alone, with the severity, owner and root it promises."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from contracts.catalogue import CATALOGUE
from contracts.entities.engagement import ContractLine, PurchaseOrder, RateLine, Task, TransferPrice
from contracts.entities.finance import ExchangeRate
from contracts.entities.party import Leave, LegalEntity
from contracts.entities.record import Alias, coded
from contracts.entities.time_entry import Approval
from contracts.ids import Ref
from process_apis.journeys.approved_time_to_invoice.rules import (
    Peer,
    Snapshot,
    evaluate,
    keys_of_xref,
    ownership_violation,
)

D = Decimal
AT = datetime(2026, 5, 4, 9, tzinfo=UTC)
E1 = "time_entry:kantata:e1"
Setup = Callable[[Any], dict[str, Any] | None]


def peer(**fields: Any) -> Peer:
    given = {
        "source_id": "kantata:e0",
        "version": 1,
        "project": "P-1",
        "task": "T1",
        "minutes": 480,
    }
    return Peer(**{**given, **fields})


def approved(by: str, version: int = 1) -> dict[str, Any]:
    who = Ref("kantata", by)
    return {"approval": Approval(approver=who, decided_at=AT, subject_version=version)}


def other_task(w: Any) -> dict[str, Any]:
    w.records["other"] = Task(
        **w.origin("kantata", "t2"), code="T2", project=coded("P-2"), name="Elsewhere"
    )
    return {"task": Ref("kantata", "t2")}


def leave(w: Any) -> None:
    w.records["leave"] = Leave(
        **w.origin("workday", "l1"), code="LV-1", resource=coded("P9"), day=date(2026, 5, 4),
        minutes=480, full_day=True,
    )  # fmt: skip


def two_lines(w: Any) -> None:
    w.change("contract", lines=(ContractLine(line_no=1), ContractLine(line_no=2)))


def expired_order(w: Any) -> None:
    w.change("contract", po_required=True)
    w.records["po"] = PurchaseOrder(
        **w.origin("salesforce", "po"), code="PO-7", billing_account=coded("BA-1"),
        contract=coded("C-1"), currency="GBP", valid_to=date(2026, 2, 1),
    )  # fmt: skip


def dollars(w: Any) -> None:
    w.change("le", tax_fx=True)
    w.change("contract", currency="USD")
    w.change("account", currency="USD")
    w.change("card", currency="USD")


def rates(w: Any, **fields: Any) -> None:
    w.change("card", lines=(RateLine(**{"id": "L1", "rate": D(140), **fields}),))


def medians(w: Any) -> None:
    w.medians = {("SENIOR", "ACME"): D(60)}


CASES: list[tuple[str, str, Setup]] = [
    ("NOT_APPROVED", E1, lambda w: {"status": "SUBMITTED"}),
    ("NOT_APPROVED", E1, lambda w: {"source_version": 2}),
    ("SELF_APPROVED", E1, lambda w: approved("17")),
    ("SELF_APPROVED", E1, lambda w: {"approval": Approval(approver=coded("P9"), decided_at=AT, subject_version=1)}),
    ("APPROVER_NOT_AUTHORISED", "project:P-1", lambda w: w.change("project", approvers=(Ref("kantata", "5"),)) and None),
    ("RESOURCE_UNKNOWN", "xref:resource:kantata:404", lambda w: {"resource": Ref("kantata", "404")}),
    ("RESOURCE_UNKNOWN", "resource:P9", lambda w: w.change("person", deleted=True) and None),
    ("RESOURCE_INACTIVE", "resource:P9", lambda w: w.change("person", termination_date=date(2026, 5, 3)) and None),
    ("PROJECT_UNKNOWN", "xref:project:kantata:404", lambda w: {"project": Ref("kantata", "404")}),
    ("TASK_UNKNOWN", "xref:task:kantata:404", lambda w: {"task": Ref("kantata", "404")}),
    ("TASK_UNKNOWN", "task:P-2/T2", other_task),
    ("TASK_REQUIRED", "project:P-1", lambda w: w.change("project", task_required=True) and {"task": None}),
    ("DUPLICATE_ENTRY", "time_entry:kantata:e0", lambda w: {"minutes": 240, "start_at": AT, "end_at": AT + timedelta(hours=4), "peers": [peer(minutes=240, start_at=AT, end_at=AT + timedelta(hours=4))]}),
    ("DUPLICATE_SUSPECT", "time_entry:kantata:e0", lambda w: {"minutes": 240, "created_at": AT, "peers": [peer(minutes=240, created_at=AT + timedelta(minutes=9))]}),
    ("MINUTES_INVALID", E1, lambda w: {"minutes": 0}),
    ("MINUTES_INVALID", E1, lambda w: {"minutes": 60, "billable_minutes": 61}),
    ("MINUTES_INVALID", E1, lambda w: w.policies.update(minutes_step={"kantata": 15}) or {"minutes": 20}),
    ("DAY_OVER_24H", "day:P9/2026-05-04", lambda w: {"peers": [peer(minutes=961, task="T0")]}),
    ("DAY_OVER_LIMIT", "day:P9/2026-05-04", lambda w: {"minutes": 721}),
    ("DAY_OVER_LIMIT", "day:P9/2026-05-04", lambda w: w.change("person", country="DE") and {"minutes": 601}),
    ("TIME_OVERLAP", "time_entry:kantata:e0", lambda w: {"minutes": 60, "start_at": AT, "end_at": AT + timedelta(hours=1), "peers": [peer(minutes=30, start_at=AT, end_at=AT + timedelta(minutes=30))]}),
    ("FUTURE_DATED", E1, lambda w: {"today": date(2026, 5, 2)}),
    ("ENTRY_TOO_OLD", E1, lambda w: {"today": date(2026, 8, 3)}),
    ("LEAVE_CONFLICT", "leave:LV-1", leave),
    ("PROJECT_NOT_STARTED", "project:P-1", lambda w: w.change("project", status="PLANNED") and None),
    ("PROJECT_NOT_STARTED", "project:P-1", lambda w: w.change("project", start=date(2026, 5, 5)) and None),
    ("PROJECT_CLOSED", "project:P-1", lambda w: w.change("project", status="CLOSED") and None),
    ("PROJECT_CLOSED", "project:P-1", lambda w: w.change("project", end=date(2026, 4, 24)) and None),
    ("PROJECT_CLOSED", "project:P-1", lambda w: w.change("project", end=date(2026, 5, 1), time_entry_open_until=date(2026, 5, 3)) and None),
    ("PROJECT_ON_HOLD", "project:P-1", lambda w: w.change("project", status="ON_HOLD") and None),
    ("BILLING_HOLD", "project:P-1", lambda w: w.change("project", billing_hold=True) and None),
    ("BILLING_HOLD", "client:ACME", lambda w: w.change("client", credit_hold=True) and None),
    ("TASK_CLOSED", "task:P-1/T1", lambda w: w.change("task", status="CLOSED", closed_on=date(2026, 5, 3)) and None),
    ("ASSIGNMENT_MISSING", "assignment:@P9/P-1", lambda w: w.change("assignment", deleted=True) and None),
    ("ASSIGNMENT_INACTIVE", "assignment:@P9/P-1", lambda w: w.change("assignment", end=date(2026, 5, 4)) and None),
    ("ASSIGNMENT_INACTIVE", "assignment:@P9/P-1", lambda w: w.change("assignment", status="PROPOSED") and None),
    ("ASSIGNMENT_HOURS_EXCEEDED", "assignment:AS-1", lambda w: w.change("assignment", planned_minutes=1000) and {"worked_minutes": 621}),
    ("ROLE_MISMATCH", "assignment:AS-1", lambda w: rates(w) or {"role": coded("ANALYST")}),
    ("ROLE_MISMATCH", "xref:role:kantata:404", lambda w: rates(w) or {"role": Ref("kantata", "404")}),
    ("ROLE_MISMATCH", "contract:C-1", lambda w: w.change("contract", lines=(ContractLine(line_no=1, roles=("PARTNER",)),)) and None),
    ("CONTRACT_MISSING", "project:P-1", lambda w: w.change("project", contract=None) and None),
    ("CONTRACT_MISSING", "xref:contract:salesforce:404", lambda w: w.change("project", contract=Ref("salesforce", "404")) and None),
    ("CONTRACT_NOT_ACTIVE", "contract:C-1", lambda w: w.change("contract", status="DRAFT") and None),
    ("CONTRACT_EXPIRED", "contract:C-1", lambda w: w.change("contract", end=date(2026, 5, 4)) and None),
    ("CONTRACT_EXPIRED", "contract:C-1", lambda w: w.change("contract", status="TERMINATED") and None),
    ("CONTRACT_LINE_MISSING", "contract:C-1#P-1", lambda w: w.change("contract", lines=()) and None),
    ("CONTRACT_LINE_AMBIGUOUS", "contract:C-1#P-1", two_lines),
    ("CLASS_NOT_ALLOWED", "contract:C-1", lambda w: w.change("contract", lines=(ContractLine(line_no=1),)) and {"work_type": "TRAVEL"}),
    ("PO_MISSING", "contract:C-1", lambda w: w.change("contract", po_required=True) and None),
    ("PO_EXPIRED", "purchase_order:PO-7", expired_order),
    ("RATE_NOT_FOUND", "rate_card:RC-1#SENIOR", lambda w: rates(w, role="PARTNER")),
    ("RATE_NOT_FOUND", "xref:rate_card:salesforce:404", lambda w: w.change("contract", rate_card=Ref("salesforce", "404")) and None),
    ("RATE_CURRENCY_MISMATCH", "rate_card:RC-1", lambda w: w.change("card", currency="EUR") and None),
    ("RATE_ZERO", "rate_card:RC-1#L1", lambda w: rates(w, rate=D(0))),
    ("OT_RULE_MISSING", "rate_card:RC-1#OT1", lambda w: {"rate_class": "OT1"}),
    ("FX_RATE_MISSING", "exchange_rate:@USD/GBP", dollars),
    ("RATE_OUTLIER", "rate_card:RC-1#SENIOR", medians),
    ("COST_RATE_MISSING", "resource:P9", lambda w: w.change("cost", valid_to=date(2026, 5, 4)) and None),
    ("LEGAL_ENTITY_UNMAPPED", "legal_entity:LE-UK", lambda w: w.erp.clear()),
    ("CUSTOMER_REF_MISSING", "map:billing_account:netsuite:BA-1", lambda w: w.change("account", ref=Ref("other", "501")) and None),
    ("BILL_TO_INVALID", "billing_account:BA-1", lambda w: w.change("account", contact_email="") and None),
    ("BUYER_REF_MISSING", "billing_account:BA-1", lambda w: w.change("account", delivery="PEPPOL", endpoint_id="0088:1") and None),
    ("TAX_JURISDICTION_MISSING", "legal_entity:LE-UK", lambda w: w.change("le", tax_registration="") and None),
    ("TAX_CODE_UNMAPPED", "map:tax_code:netsuite:LE-UK:S", lambda w: w.without("tax_code")),
    ("ITEM_UNMAPPED", "map:item:netsuite:TIME", lambda w: w.without("item")),
    ("GL_DIMENSION_MISSING", "map:gl_dimension:netsuite:LE-UK", lambda w: w.without("gl_dimension")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "root", "setup"), CASES, ids=[f"{c}-{i}" for i, (c, _, _) in enumerate(CASES)]
)
def test_code_fires_alone(world: Any, code: str, root: str, setup: Setup) -> None:
    """One defect, one finding, as the catalogue says; the state and the rows follow from it."""
    outcome = world.judge(**(setup(world) or {}))
    assert [(f.code, f.root) for f in outcome.findings] == [(code, root)]
    found, kind = outcome.findings[0], CATALOGUE[code]
    assert (found.severity, found.owner, found.hint) == (kind.severity, kind.owner, kind.hint)
    assert found.unblock_keys
    expected = {"BLOCK": "EXCEPTION", "HOLD": "HELD", "WARN": "READY"}[kind.severity]
    assert outcome.billing_state == expected
    sold = {r.status for r in outcome.transactions if r.type == "UNBILLED_SALES"}
    if kind.stage == "1":
        assert outcome.transactions == ()
    elif kind.severity == "BLOCK":
        assert sold == set()
    else:
        assert sold == {"HELD" if kind.severity == "HOLD" else "READY"}
    assert not outcome.amount_at_risk or kind.severity != "WARN"


def test_the_clean_firm_has_no_findings(world: Any) -> None:
    """Nothing fires without a defect."""
    outcome = world.judge()
    assert (outcome.findings, outcome.billing_state) == ((), "READY")


def test_an_entry_longer_than_a_day(world: Any) -> None:
    """ENTRY_OVER_24H, and the working-time note beside it."""
    assert [f.code for f in world.judge(minutes=1441).findings] == [
        "DAY_OVER_LIMIT",
        "ENTRY_OVER_24H",
    ]


def test_reverse_charge_needs_a_number(world: Any) -> None:
    """TAX_ID_MISSING, while the tax key follows the treatment."""
    world.change("account", tax_treatment="REVERSE_CHARGE")
    codes = [f.code for f in world.judge().findings]
    assert codes == ["TAX_CODE_UNMAPPED", "TAX_ID_MISSING"]


@pytest.mark.parametrize("status", ["DRAFT", "REJECTED", "RETURNED", "UNAPPROVED"])
def test_withdrawn_time_is_nobodys_work(world: Any, status: str) -> None:
    """No findings, no rows."""
    outcome = world.judge(status=status)
    assert (outcome.billing_state, outcome.findings, outcome.transactions) == ("NONE", (), ())


def test_only_the_first_stopping_stage_is_reported(world: Any) -> None:
    """A closed project hides the missing price behind it, but not the value at risk."""
    world.change("project", status="CLOSED")
    world.without("item")
    outcome = world.judge()
    assert [f.code for f in outcome.findings] == ["PROJECT_CLOSED"]
    assert str(outcome.amount_at_risk) == "1,120.00 GBP"


def test_a_waived_hold_lets_the_next_stage_speak(world: Any) -> None:
    """The waived code is gone, later stages count again."""
    world.change("contract", status="DRAFT")
    assert world.judge(waived=frozenset({"CONTRACT_NOT_ACTIVE"})).billing_state == "READY"


def test_grace_after_the_project(world: Any) -> None:
    """Ten days after the end time may still come in."""
    world.change("project", end=date(2026, 4, 25))
    assert world.judge().billing_state == "READY"


def test_a_stand_in_may_work_the_role(world: Any) -> None:
    """A role the assigned one accepts is no mismatch, and is priced as worked."""
    world.change("senior", substitutable_by=("ANALYST",))
    rates(world)
    outcome = world.judge(role=coded("ANALYST"))
    assert (outcome.billing_state, outcome.findings) == ("READY", ())


@pytest.mark.parametrize(
    ("flag", "rows"),
    [
        ("NON_BILLABLE", [("COST", "NON_CHARGEABLE")]),
        ("COMPLIMENTARY", [("COST", "NON_CHARGEABLE"), ("UNBILLED_SALES", "COMPLIMENTARY")]),
    ],
)
def test_free_work_has_cost(world: Any, flag: str, rows: list[tuple[str, str]]) -> None:
    """Work that is not billed is recorded, and a gift is shown at no amount."""
    outcome = world.judge(billable_flag=flag)
    assert outcome.billing_state == "NON_BILLABLE"
    assert [(r.type, r.chargeable) for r in outcome.transactions] == rows
    assert all(r.amount_exact == 0 for r in outcome.transactions if r.type != "COST")


def test_the_approver_cuts(world: Any) -> None:
    """Fewer billable minutes: two sales rows that add up to the approved time."""
    outcome = world.judge(minutes=480, billable_minutes=300)
    sold = [(r.seq, r.bill_minutes, r.chargeable) for r in outcome.transactions[1:]]
    assert sold == [(0, 300, "CHARGEABLE"), (1, 180, "NON_CHARGEABLE")]
    assert str(outcome.amount) == "700.00 GBP"


@pytest.mark.parametrize(
    ("billing", "percent", "amount"), [("FULL", 100, "1,120.00 GBP"), ("PERCENT", 50, "560.00 GBP")]
)
def test_travel(world: Any, billing: str, percent: int, amount: str) -> None:
    """Travel is billed whole or in part, as the contract says."""
    world.change("contract", travel_billing=billing, travel_percent=D(percent))
    assert str(world.judge(work_type="TRAVEL").amount) == amount


def test_free_travel(world: Any) -> None:
    """Travel that the contract does not pay has cost only."""
    world.change("contract", travel_billing="NONE")
    assert world.judge(work_type="TRAVEL").billing_state == "NON_BILLABLE"


def test_explicit_zero_is_meant(world: Any) -> None:
    """A zero that somebody meant is billed as zero."""
    rates(world, rate=D(0), explicit_zero=True)
    outcome = world.judge()
    assert (outcome.billing_state, str(outcome.amount)) == ("READY", "0.00 GBP")


def test_a_rate_of_the_week_is_young_enough(world: Any) -> None:
    """Seven days old is found, inverse and through a third currency too."""
    dollars(world)
    for base, quote in (("EUR", "USD"), ("EUR", "GBP")):
        world.records[quote] = ExchangeRate(
            **world.origin("netsuite", quote), code=quote, base=base, quote=quote,
            day=date(2026, 4, 27), rate=D("1.1"),
        )  # fmt: skip
    assert world.judge().findings == ()
    assert [f.code for f in world.judge(work_date=date(2026, 5, 5)).findings] == ["FX_RATE_MISSING"]


def test_cost_plus_between_entities(world: Any) -> None:
    """Cost plus ten per cent of the lender's cost rate."""
    world.records["in"] = LegalEntity(
        **world.origin("netsuite", "9"), code="LE-IN", name="IN", country="IN",
        functional_currency="GBP", tax_registration="IN1",
    )  # fmt: skip
    world.change("person", legal_entity=coded("LE-IN"))
    world.records["tp"] = TransferPrice(
        **world.origin("firmwire", "tp"), code="TP", lender="LE-IN", borrower="LE-UK",
        cost_plus_pct=D(10), valid_from=date(2026, 1, 1),
    )  # fmt: skip
    rows = {r.type: r.amount_exact for r in world.judge(minutes=60).transactions}
    assert rows == {
        "COST": D("96.8"),
        "RESOURCING_COST": D(88),
        "IC_SALES": D("96.8"),
        "UNBILLED_SALES": D(140),
    }


def test_a_mended_reference_unblocks(world: Any) -> None:
    """The keys a change reports meet the keys the finding waits for, and the entry then bills."""
    fields = {"project": Ref("kantata", "404")}
    snapshot = world.snapshot()
    found = evaluate(world.entry(**fields), snapshot, today=date(2026, 5, 31)).findings[0]
    xref = msgspec.structs.replace(world.xrefs[0], entity="project", code="P-1", external_id="404")
    applied = snapshot.put_xref(xref)
    assert set(applied.keys) & set(found.unblock_keys) == {found.root}
    assert found.root in keys_of_xref(xref)
    again = evaluate(world.entry(**fields), snapshot, today=date(2026, 5, 31))
    assert again.billing_state == "READY"


def test_an_assignment_that_comes_later_unblocks(world: Any) -> None:
    """Also when its project was not known when it came."""
    assignment = world.records.pop("assignment")
    project = world.records.pop("project")
    task = world.records.pop("task")
    snapshot = world.snapshot()
    snapshot.put(assignment)
    snapshot.put(task)
    keys = snapshot.put(project).keys
    assert {"assignment:@P9/P-1", "task:P-1/T1", "xref:project:kantata:1001"} <= set(keys)
    assert evaluate(world.entry(), snapshot, today=date(2026, 5, 31)).billing_state == "READY"


def alias(world: Any, **fields: Any) -> Alias:
    return Alias(**world.origin("float", "55"), of="resource", **fields)


@pytest.mark.parametrize("fields", [{"code": "P9"}, {"email": "NINE@firm.example"}])
def test_an_alias_names_a_person(world: Any, fields: dict[str, str]) -> None:
    """By code or by exact address, whichever record comes first; nothing after its tombstone."""
    ref = Ref("float", "55")
    before = world.snapshot([alias(world, **fields)])
    person = world.records.pop("person")
    after = world.snapshot([alias(world, **fields)])
    made = after.put(person)
    assert (before.resolve("resource", ref), after.resolve("resource", ref)) == ("P9", "P9")
    assert "resource:P9" in made.keys
    after.put(alias(world, **fields, deleted=True))
    assert after.resolve("resource", ref) is None


def test_two_people_with_one_address_match_nobody(world: Any) -> None:
    """An ambiguous address is not a match."""
    twin = msgspec.structs.replace(world.records["person"], ref=Ref("workday", "w8"), code="P8")
    snapshot = world.snapshot([twin, alias(world, email="nine@firm.example")])
    assert snapshot.resolve("resource", Ref("float", "55")) is None


def test_a_mapping_by_hand_beats_the_records_own(world: Any) -> None:
    """And taking it back restores what the record says."""
    snapshot: Snapshot = world.snapshot()
    ref = Ref("kantata", "1001")
    xref = msgspec.structs.replace(world.xrefs[0], entity="project", code="P-X", external_id="1001")
    snapshot.put_xref(xref)
    assert snapshot.resolve("project", ref) == "P-X"
    snapshot.drop_xref(xref)
    assert snapshot.resolve("project", ref) == "P-1"


def test_ownership() -> None:
    """Only the owner may change an owned field."""
    found = ownership_violation("client", "ACME", "crm", "erp", ["name"])
    assert found is not None
    assert (found.code, found.root) == ("OWNERSHIP_VIOLATION", "client:ACME")
    assert ownership_violation("client", "ACME", "crm", "crm", ["name"]) is None

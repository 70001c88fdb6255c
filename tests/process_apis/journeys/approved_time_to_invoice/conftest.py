"""A small clean firm: one entry of it bills without a finding, and each test breaks one thing."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from contracts.entities.engagement import (
    Assignment,
    Contract,
    ContractLine,
    Project,
    RateCard,
    RateLine,
    Task,
)
from contracts.entities.party import (
    BillingAccount,
    Client,
    CostRate,
    LegalEntity,
    Resource,
    Role,
)
from contracts.entities.record import CrossReference, coded
from contracts.entities.time_entry import Approval, TimeEntry
from contracts.ids import Ref
from process_apis.journeys.approved_time_to_invoice.rules import Policies, Snapshot, evaluate

AT = datetime(2026, 5, 1, tzinfo=UTC)
TODAY = date(2026, 5, 31)


def D(text: str) -> Decimal:
    return Decimal(text)


def origin(system: str, id: str) -> dict[str, Any]:
    return {"ref": Ref(system, id), "source_version": 1, "source_updated_at": AT}


def firm() -> dict[str, Any]:
    """Every record of the clean firm by a short name."""
    return {
        "client": Client(**origin("salesforce", "a1"), code="ACME", name="Acme", country="GB"),
        "le": LegalEntity(
            **origin("netsuite", "3"), code="LE-UK", name="UK", country="GB",
            functional_currency="GBP", tax_registration="GB1",
        ),
        "account": BillingAccount(
            **origin("netsuite", "501"), code="BA-1", client=coded("ACME"),
            legal_entity=coded("LE-UK"), currency="GBP", bill_to_name="Acme",
            bill_to_address="1 Road", bill_to_country="GB", contact_email="ap@acme.example",
        ),
        "contract": Contract(
            **origin("salesforce", "c1"), code="C-1", client=Ref("salesforce", "a1"),
            billing_account=coded("BA-1"), legal_entity=coded("LE-UK"), currency="GBP",
            start=date(2026, 1, 1), end=date(2027, 1, 1),
            lines=(ContractLine(line_no=1, allowed_classes=("TIME", "TRAVEL")),),
        ),
        "project": Project(
            **origin("kantata", "1001"), code="P-1", name="One", client=Ref("salesforce", "a1"),
            contract=Ref("salesforce", "c1"), start=date(2026, 1, 1),
        ),
        "task": Task(
            **origin("kantata", "t1"), code="T1", project=Ref("kantata", "1001"), name="T"
        ),
        "senior": Role(**origin("workday", "r1"), code="SENIOR", name="Senior"),
        "analyst": Role(**origin("workday", "r2"), code="ANALYST", name="Analyst"),
        "person": Resource(
            **origin("workday", "w9"), code="P9", name="Nine", email="nine@firm.example",
            legal_entity=coded("LE-UK"), home_role=coded("SENIOR"), location="UK", country="GB",
            hire_date=date(2020, 1, 1),
        ),
        "assignment": Assignment(
            **origin("kantata", "as1"), code="AS-1", project=Ref("kantata", "1001"),
            resource=Ref("kantata", "17"), role=coded("SENIOR"),
        ),
        "card": RateCard(
            **origin("salesforce", "rc1"), code="RC-1", name="Acme", owner="CONTRACT",
            owner_code="C-1", currency="GBP",
            lines=(RateLine(id="L1", role="SENIOR", rate=D("140")),),
        ),
        "cost": CostRate(
            **origin("workday", "cr1"), code="CR-1", resource=coded("P9"), currency="GBP",
            rate=D("88"), valid_from=date(2020, 1, 1),
        ),
    }  # fmt: skip


def maps() -> list[CrossReference]:
    def x(entity: str, code: str, system: str, id: str) -> CrossReference:
        return CrossReference(entity=entity, code=code, system=system, external_id=id)

    return [
        x("resource", "P9", "kantata", "17"),
        x("tax_code", "LE-UK:S", "netsuite", "VAT20"),
        x("item", "TIME", "netsuite", "77"),
        x("gl_dimension", "LE-UK", "netsuite", "D1"),
    ]


class World:
    """The firm, changeable: world.change("project", status="CLOSED"); world.judge(minutes=60)."""

    def __init__(self) -> None:
        self.records = firm()
        self.xrefs = maps()
        self.policies: dict[str, Any] = {}
        self.erp = {"LE-UK": "netsuite", "LE-IN": "netsuite"}
        self.medians: dict[tuple[str, str], Decimal] = {}

    origin = staticmethod(origin)

    def change(self, name: str, **fields: Any) -> Any:
        self.records[name] = msgspec.structs.replace(self.records[name], **fields)
        return self.records[name]

    def without(self, entity: str) -> None:
        self.xrefs = [x for x in self.xrefs if x.entity != entity]

    def snapshot(self, extra: Iterable[Any] = ()) -> Snapshot:
        made = Snapshot.build(
            [*self.records.values(), *extra],
            self.xrefs,
            erp_instance_of=self.erp,
            policies=Policies(**self.policies),
            version="1",
        )
        made.set_medians(self.medians)
        return made

    def entry(self, **fields: Any) -> TimeEntry:
        given: dict[str, Any] = {
            **origin("kantata", "e1"),
            "resource": Ref("kantata", "17"),
            "project": Ref("kantata", "1001"),
            "task": Ref("kantata", "t1"),
            "work_date": date(2026, 5, 4),
            "minutes": 480,
            "status": "APPROVED",
            "approval": Approval(approver=Ref("kantata", "99"), decided_at=AT, subject_version=1),
        }
        return TimeEntry(**{**given, **fields})

    def judge(self, *, today: date = TODAY, peers: Any = (), **fields: Any) -> Any:
        options: dict[str, Any] = {
            k: fields.pop(k) for k in ("waived", "worked_minutes") if k in fields
        }
        return evaluate(self.entry(**fields), self.snapshot(), peers=peers, today=today, **options)


@pytest.fixture
def world() -> World:
    return World()

"""Work that must not bill, each defect on a root cause of its own, with its expected code.

Source  domain.md F.2 (rates per 10,000 entries; clustered). All else about a defect is right.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from contracts.entities.engagement import Project, TransferPrice
from contracts.entities.party import LegalEntity, Resource, Role
from contracts.entities.record import coded
from sandbox.firm import figures
from sandbox.firm.draw import OFFSHORE, TASKS, Draw, card

UK = next(e for e in figures.ENTITIES if e.code == "LE-UK")
DE = next(e for e in figures.ENTITIES if e.code == "LE-DE")
AU = next(e for e in figures.ENTITIES if e.code == "LE-AU")


def add(draw: Draw) -> None:
    """Every defect of the table, scaled to the clean entries there are; at least two items each."""
    clean = len(draw.firm.entries)
    for code, per_ten_thousand in figures.DEFECTS.items():
        _MAKERS[code](draw, max(2, clean * per_ten_thousand // 10_000))


def _team(draw: Draw, country: str, heads: int = 3) -> list[Resource]:
    """People of one country who are not partners, the same each time it is asked."""
    found = [
        p
        for p in draw.firm.resources
        if p.country == country and p.code not in draw.firm.strangers and p.termination_date is None
    ]
    return found[:heads]


def _book(
    draw: Draw, team: list[Resource], project: str, count: int, code: str, **over: Any
) -> None:
    for n in range(count):
        person = team[n % len(team)]
        minutes = over.get("minutes", 30)
        fields: dict[str, Any] = {"task": TASKS[n % len(TASKS)], "expected": frozenset({code})} | {
            key: value for key, value in over.items() if key != "minutes"
        }
        draw.entry(person, project, draw.free_day(person, minutes), minutes, **fields)


def _staffed(draw: Draw, count: int, code: str, **engagement: Any) -> Project:
    """An engagement in the UK with a team and `count` entries that must come to `code`."""
    project = draw.engagement(draw.firm.clients[0], UK, **engagement)
    team = _team(draw, "GB")
    for person in team:
        draw.assign(person, project)
    _book(draw, team, project.code, count, code)
    return project


def _project_unknown(draw: Draw, count: int) -> None:
    """A second workspace of a real project, without our code: mapping it frees every item."""
    project = draw.engagement(draw.firm.clients[1], UK)
    team = _team(draw, "GB")
    for person in team:
        draw.assign(person, project)
    legacy = f"{project.code}-OLD"
    draw.firm.legacy_projects[legacy] = project.code
    _book(draw, team, legacy, count, "PROJECT_UNKNOWN", task=None)


def _task_unknown(draw: Draw, count: int) -> None:
    project = draw.engagement(draw.firm.clients[0], UK)
    team = _team(draw, "GB")
    for person in team:
        draw.assign(person, project)
    _book(draw, team, project.code, count, "TASK_UNKNOWN", task="MISSING")


def _ambiguous_rate(draw: Draw, count: int) -> None:
    project = _staffed(draw, count, "RATE_AMBIGUOUS")
    _contract_card(draw, project, "GBP", twice=True)


def _contract_card(draw: Draw, project: Project, currency: str, *, twice: bool = False) -> None:
    """Give the project's contract a card of its own; every role once, or twice."""
    assert project.contract is not None
    code = f"RC-{project.contract.id}"
    roles = [r.code for r in draw.firm.roles]
    made = card(
        draw,
        code,
        currency,
        {role: Decimal(100) for role in roles},
        owner="CONTRACT",
        owner_code=project.contract.id,
    )
    if twice:
        lines = made.lines + tuple(
            replace(line, id=f"{line.id}/again", rate=Decimal(110)) for line in made.lines
        )
        draw.firm.rate_cards[-1] = replace(made, lines=lines)
    _use_card(draw, project.contract.id, code)


def _use_card(draw: Draw, contract: str, code: str) -> None:
    for place, had in enumerate(draw.firm.contracts):
        if had.code == contract:
            draw.firm.contracts[place] = replace(had, rate_card=coded(code))


def _zero_rate(draw: Draw, count: int) -> None:
    project = _staffed(draw, count, "RATE_ZERO")
    assert project.contract is not None
    code = f"RC-{project.contract.id}"
    card(
        draw,
        code,
        "GBP",
        {r.code: Decimal(0) for r in draw.firm.roles},
        owner="CONTRACT",
        owner_code=project.contract.id,
    )
    _use_card(draw, project.contract.id, code)


def _rate_currency(draw: Draw, count: int) -> None:
    _contract_card(draw, _staffed(draw, count, "RATE_CURRENCY_MISMATCH"), "USD")


def _rate_not_found(draw: Draw, count: int) -> None:
    """People staffed in a role no card prices."""
    if not any(r.code == "ARCHITECT" for r in draw.firm.roles):
        draw.firm.roles.append(Role(**draw.meta("ARCHITECT"), code="ARCHITECT", name="Architect"))
    project = draw.engagement(draw.firm.clients[2], DE)
    team = _team(draw, "DE")
    for person in team:
        draw.assign(person, project, role=coded("ARCHITECT"))
    _book(draw, team, project.code, count, "RATE_NOT_FOUND", role="ARCHITECT")


def _role_mismatch(draw: Draw, count: int) -> None:
    project = draw.engagement(draw.firm.clients[2], DE)
    team = _team(draw, "DE")
    for person in team:
        assert person.home_role is not None
        draw.assign(person, project)
        other = "ANALYST" if person.home_role.id != "ANALYST" else "SENIOR"
        share = count // len(team) + (1 if team.index(person) < count % len(team) else 0)
        _book(draw, [person], project.code, share, "ROLE_MISMATCH", role=other)


def _assignment_missing(draw: Draw, count: int) -> None:
    project = draw.engagement(draw.firm.clients[2], DE)
    _book(draw, _team(draw, "DE"), project.code, count, "ASSIGNMENT_MISSING")


def _assignment_inactive(draw: Draw, count: int) -> None:
    project = draw.engagement(draw.firm.clients[2], DE)
    team = _team(draw, "DE")
    for person in team:
        draw.assign(person, project, end=draw.firm.month - timedelta(days=10))
    _book(draw, team, project.code, count, "ASSIGNMENT_INACTIVE")


def _customer_missing(draw: Draw, count: int) -> None:
    account = draw.account(draw.firm.clients[3], UK)
    draw.firm.unmapped_customers.add(account.code)
    _staffed(draw, count, "CUSTOMER_REF_MISSING", account=account)


def _account(code: str, **fields: Any) -> Callable[[Draw, int], None]:
    def make(draw: Draw, count: int) -> None:
        account = draw.account(draw.firm.clients[3], UK, **fields)
        _staffed(draw, count, code, account=account)

    return make


def _place_of_supply(draw: Draw, count: int) -> None:
    """Neither the account nor the client says where the client is."""
    nowhere = replace(draw.client(), country="")
    draw.firm.clients[-1] = nowhere
    account = draw.account(nowhere, UK, bill_to_country="")
    project = draw.engagement(nowhere, UK, account=account)
    team = _team(draw, "GB")
    for person in team:
        draw.assign(person, project)
    _book(draw, team, project.code, count, "TAX_JURISDICTION_MISSING")


def _contract(code: str, **fields: Any) -> Callable[[Draw, int], None]:
    return lambda draw, count: void(_staffed(draw, count, code, contract=dict(fields)))


def void(_: object) -> None:
    """A maker's result nobody needs."""


def _contract_missing(draw: Draw, count: int) -> None:
    """No contract names the project either: it was never written."""
    project = _staffed(draw, count, "CONTRACT_MISSING", project={"contract": None})
    code = f"C-{project.code[2:]}"
    draw.firm.contracts = [c for c in draw.firm.contracts if c.code != code]


def _expired(draw: Draw, count: int) -> None:
    ended = {"end": draw.firm.month - timedelta(days=5)}
    _staffed(draw, count, "CONTRACT_EXPIRED", contract=ended)


def _line_missing(draw: Draw, count: int) -> None:
    _staffed(draw, count, "CONTRACT_LINE_MISSING", line={"tasks": ("Handover",)})


def _line_ambiguous(draw: Draw, count: int) -> None:
    _staffed(draw, count, "CONTRACT_LINE_AMBIGUOUS", extra_lines=({},))


def _item_unmapped(draw: Draw, count: int) -> None:
    draw.firm.unmapped_items.add("SPECIAL")
    _staffed(draw, count, "ITEM_UNMAPPED", line={"erp_item": "SPECIAL"})


def _entity_unmapped(draw: Draw, count: int) -> None:
    """A contract of an entity the ERP has no company for. The people are employed elsewhere."""
    stray = figures.Entity("LE-NZ", "Firm NZ Ltd", "NZ", "AUD", "Pacific/Auckland", "NZ123")
    draw.firm.unmapped_entities.add(stray.code)
    draw.firm.legal_entities.append(
        LegalEntity(
            **draw.meta(stray.code),
            code=stray.code,
            name=stray.name,
            country=stray.country,
            functional_currency=stray.currency,
        )
    )
    draw.firm.transfer_prices.append(
        TransferPrice(
            **draw.meta("LE-AU>LE-NZ"),
            code="LE-AU>LE-NZ",
            lender="LE-AU",
            borrower=stray.code,
            cost_plus_pct=Decimal(12),
            valid_from=draw.contract_start,
        )
    )
    account = draw.account(draw.firm.clients[4], AU)
    project = draw.engagement(
        draw.firm.clients[4], AU, account=account, contract={"legal_entity": coded(stray.code)}
    )
    team = _team(draw, "AU")
    for person in team:
        draw.assign(person, project)
    _book(draw, team, project.code, count, "LEGAL_ENTITY_UNMAPPED")


def _intercompany(draw: Draw, count: int) -> None:
    """Singapore lends to Australia without a transfer price; the customer's leg still bills."""
    project = draw.engagement(draw.firm.clients[4], AU)
    team = _team(draw, "SG", 1)
    draw.assign(team[0], project)
    _book(draw, team, project.code, count, "INTERCOMPANY_RULE_MISSING")


def _extra_person(draw: Draw, entity: figures.Entity, **fields: Any) -> Resource:
    code = f"E{90_000 + len(draw.firm.resources):05d}"
    role = "CONSULTANT" + (OFFSHORE if entity.country == "IN" else "")
    base: dict[str, Any] = {
        "code": code,
        "name": f"Consultant {code[1:]}",
        "email": f"{code.lower()}@firm.example",
        "legal_entity": coded(entity.code),
        "home_role": coded(role),
        "cost_centre": coded(f"CC-{entity.code[3:]}"),
        "timezone": entity.timezone,
        "country": entity.country,
        "location": entity.country,
        "hire_date": draw.firm.month - timedelta(days=400),
    }
    made = Resource(**draw.meta(code), **(base | fields))
    draw.firm.resources.append(made)
    return made


def _resource_unknown(draw: Draw, count: int) -> None:
    person = _extra_person(draw, UK)
    draw.firm.strangers.add(person.code)
    project = draw.engagement(draw.firm.clients[5], UK)
    draw.assign(person, project)
    _book(draw, [person], project.code, count, "RESOURCE_UNKNOWN")


def _resource_inactive(draw: Draw, count: int) -> None:
    person = _extra_person(draw, UK, termination_date=draw.firm.month - timedelta(days=7))
    project = draw.engagement(draw.firm.clients[5], UK)
    draw.assign(person, project)
    _book(draw, [person], project.code, count, "RESOURCE_INACTIVE")


def _minutes_invalid(draw: Draw, count: int) -> None:
    project = draw.engagement(draw.firm.clients[5], UK)
    team = _team(draw, "GB")
    for person in team:
        draw.assign(person, project)
    _book(draw, team, project.code, count, "MINUTES_INVALID", minutes=0)


def _too_old(draw: Draw, count: int) -> None:
    late = {"late_time_days": 30}
    project = draw.engagement(draw.firm.clients[5], UK, contract=late)
    team = _team(draw, "GB")
    for person in team:
        draw.assign(person, project)
    for n in range(count):
        day = draw.firm.month - timedelta(days=60 + n)
        expected = frozenset({"ENTRY_TOO_OLD"})
        draw.entry(team[n % len(team)], project.code, day, 30, task="Design", expected=expected)


def _duplicate(draw: Draw, count: int) -> None:
    """The same cell twice under two ids; both must be looked at together."""
    project = draw.engagement(draw.firm.clients[5], UK)
    team = _team(draw, "GB")
    for person in team:
        draw.assign(person, project)
    for n in range(count):
        person, text = team[n % len(team)], f"same words, twice ({n})"
        day = draw.free_day(person, 60)
        for _ in range(2):
            draw.entry(
                person,
                project.code,
                day,
                30,
                task="Build",
                narrative=text,
                expected=frozenset({"DUPLICATE_ENTRY"}),
            )


def _day_over_24h(draw: Draw, count: int) -> None:
    """A weekend day with 26 hours on it: all of its entries are flagged."""
    person = _extra_person(draw, UK)
    project = draw.engagement(draw.firm.clients[5], UK)
    draw.assign(person, project)
    day = draw.firm.month + timedelta(days=(5 - draw.firm.month.weekday()) % 7)
    for n in range(max(2, count // 4)):
        for hours in (10, 8, 6, 2):
            draw.entry(
                person,
                project.code,
                day + timedelta(days=7 * n),
                hours * 60,
                task="Test",
                expected=frozenset({"DAY_OVER_24H"}),
            )


_MAKERS: dict[str, Callable[[Draw, int], None]] = {
    "PROJECT_UNKNOWN": _project_unknown,
    "TASK_UNKNOWN": _task_unknown,
    "PROJECT_CLOSED": lambda d, n: void(
        _staffed(d, n, "PROJECT_CLOSED", project={"status": "CLOSED"})
    ),
    "PROJECT_NOT_STARTED": lambda d, n: void(
        _staffed(d, n, "PROJECT_NOT_STARTED", project={"status": "PLANNED"})
    ),
    "PROJECT_ON_HOLD": lambda d, n: void(
        _staffed(d, n, "PROJECT_ON_HOLD", project={"status": "ON_HOLD"})
    ),
    "CONTRACT_MISSING": _contract_missing,
    "CONTRACT_EXPIRED": _expired,
    "CONTRACT_NOT_ACTIVE": _contract("CONTRACT_NOT_ACTIVE", status="DRAFT"),
    "CONTRACT_LINE_MISSING": _line_missing,
    "CONTRACT_LINE_AMBIGUOUS": _line_ambiguous,
    "RATE_NOT_FOUND": _rate_not_found,
    "RATE_AMBIGUOUS": _ambiguous_rate,
    "RATE_CURRENCY_MISMATCH": _rate_currency,
    "RATE_ZERO": _zero_rate,
    "ROLE_MISMATCH": _role_mismatch,
    "ASSIGNMENT_MISSING": _assignment_missing,
    "ASSIGNMENT_INACTIVE": _assignment_inactive,
    "CUSTOMER_REF_MISSING": _customer_missing,
    "BILL_TO_INVALID": _account("BILL_TO_INVALID", contact_email=""),
    "BUYER_REF_MISSING": _account("BUYER_REF_MISSING", delivery="PEPPOL", endpoint_id="0088:1"),
    "TAX_ID_MISSING": _account("TAX_ID_MISSING", tax_treatment="REVERSE_CHARGE"),
    "TAX_JURISDICTION_MISSING": _place_of_supply,
    "LEGAL_ENTITY_UNMAPPED": _entity_unmapped,
    "ITEM_UNMAPPED": _item_unmapped,
    "INTERCOMPANY_RULE_MISSING": _intercompany,
    "RESOURCE_UNKNOWN": _resource_unknown,
    "RESOURCE_INACTIVE": _resource_inactive,
    "MINUTES_INVALID": _minutes_invalid,
    "ENTRY_TOO_OLD": _too_old,
    "DUPLICATE_ENTRY": _duplicate,
    "DAY_OVER_24H": _day_over_24h,
}

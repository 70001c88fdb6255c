"""Draw a firm from a size and a seed: the same two always give the same firm.

Source  domain.md F.2. Clean work is drawn first; defects.py then adds work that must fail, each
        on a root cause of its own so that the expected code is the only one.
"""

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from contracts.entities.deal import Deal
from contracts.entities.engagement import (
    Allocation,
    Project,
    TransferPrice,
)
from contracts.entities.finance import AccountingPeriod, ExchangeRate
from contracts.entities.party import (
    Client,
    CostCentre,
    CostRate,
    LegalEntity,
    Resource,
    Role,
)
from contracts.entities.record import coded
from contracts.money import rounded
from sandbox.firm import defects, figures
from sandbox.firm.draw import OFFSHORE, TASKS, Draw, card
from sandbox.firm.model import Firm


def generate(size: str, seed: int, month: date) -> Firm:
    """A firm of S 60, M 1,000 or L 5,000 consultants and its time of one month (month: day 1)."""
    draw = Draw(size, seed, month)
    _organisation(draw)
    _people(draw, figures.CONSULTANTS[size])
    _rate_cards(draw)
    _clean_work(draw)
    defects.add(draw)
    _deals(draw)
    return draw.firm


def _organisation(draw: Draw) -> None:
    firm = draw.firm
    for e in figures.ENTITIES:
        firm.legal_entities.append(
            LegalEntity(
                **draw.meta(e.code),
                code=e.code,
                name=e.name,
                country=e.country,
                functional_currency=e.currency,
                timezone=e.timezone,
                tax_registration=e.tax_number,
                tax_fx=e.tax_fx,
            )
        )
        centre = f"CC-{e.code[3:]}"
        firm.cost_centres.append(
            CostCentre(
                **draw.meta(centre),
                code=centre,
                name=f"Delivery {e.code[3:]}",
                legal_entity=coded(e.code),
            )
        )
    for code, name, _ in figures.PYRAMID:
        for suffix, label in (("", ""), (OFFSHORE, " (delivery centre)")):
            role = f"{code}{suffix}"
            firm.roles.append(Role(**draw.meta(role), code=role, name=f"{name}{label}"))
    for offset in range(-6, 3):
        months = firm.month.year * 12 + firm.month.month - 1 + offset
        start = date(months // 12, months % 12 + 1, 1)
        following = date((months + 1) // 12, (months + 1) % 12 + 1, 1)
        code = f"{start:%Y-%m}"
        firm.periods.append(
            AccountingPeriod(
                **draw.meta(code),
                code=code,
                start=start,
                end=following - timedelta(days=1),
                state="OPEN" if offset >= 0 else "CLOSED",
            )
        )
    for currency, usd in figures.USD_PER.items():
        if currency != "USD":
            for back in range(0, 35, 7):
                day = firm.month + timedelta(days=back)
                code = f"{currency}/USD/{day}"
                firm.exchange_rates.append(
                    ExchangeRate(
                        **draw.meta(code),
                        code=code,
                        base=currency,
                        quote="USD",
                        day=day,
                        rate=usd,
                    )
                )


def _people(draw: Draw, heads: int) -> None:
    firm, rng = draw.firm, draw.random
    regions = list(figures.REGIONS)
    weights = [figures.REGIONS[r] for r in regions]
    for number in range(1, heads + 1):
        # the first ten people give every entity somebody, so that small sizes have all regions
        entity = (
            figures.ENTITIES[number - 1]
            if number <= len(figures.ENTITIES)
            else _entity_in(rng, rng.choices(regions, weights)[0])
        )
        level = rng.choices(range(6), [share for _, _, share in figures.PYRAMID])[0]
        role = figures.ROLE_CODES[level] + (OFFSHORE if entity.country == "IN" else "")
        code = f"E{number:05d}"
        person = Resource(
            **draw.meta(code),
            code=code,
            name=f"Consultant {number:05d}",
            email=f"{code.lower()}@firm.example",
            legal_entity=coded(entity.code),
            home_role=coded(role),
            cost_centre=coded(f"CC-{entity.code[3:]}"),
            timezone=entity.timezone,
            country=entity.country,
            location=entity.country,
            hire_date=firm.month - timedelta(days=rng.randint(200, 3000)),
        )
        firm.resources.append(person)
        rate = Decimal(figures.RATES[entity.currency][level]) * figures.COST_SHARE
        if entity.country == "IN":
            rate = (
                Decimal(figures.OFFSHORE_USD[level]) / figures.USD_PER["INR"] * figures.COST_SHARE
            )
        firm.cost_rates.append(
            CostRate(
                **draw.meta(f"CR-{code}"),
                code=f"CR-{code}",
                resource=coded(code),
                currency=entity.currency,
                rate=rounded(rate, "USD"),
                valid_from=firm.month - timedelta(days=365),
            )
        )
    for lender in figures.ENTITIES:
        for borrower in figures.ENTITIES:
            if lender.code != borrower.code and (lender.code, borrower.code) != ("LE-SG", "LE-AU"):
                code = f"{lender.code}>{borrower.code}"
                firm.transfer_prices.append(
                    TransferPrice(
                        **draw.meta(code),
                        code=code,
                        lender=lender.code,
                        borrower=borrower.code,
                        cost_plus_pct=Decimal(12),
                        valid_from=firm.month - timedelta(days=365),
                    )
                )


def _entity_in(rng: random.Random, country: str) -> figures.Entity:
    return rng.choice([e for e in figures.ENTITIES if e.country == country])


def _rate_cards(draw: Draw) -> None:
    for currency, rates in figures.RATES.items():
        onshore = {
            role: Decimal(rate) for role, rate in zip(figures.ROLE_CODES, rates, strict=True)
        }
        offshore = {
            role + OFFSHORE: rounded(Decimal(usd) / figures.USD_PER[currency], currency)
            for role, usd in zip(figures.ROLE_CODES, figures.OFFSHORE_USD, strict=True)
        }
        card(draw, f"RC-STD-{currency}", currency, onshore | offshore)


def _clean_work(draw: Draw) -> None:
    firm, rng = draw.firm, draw.random
    heads = len(firm.resources)
    clients = [draw.client() for _ in range(max(6, heads // 8))]
    onshore = [e for e in figures.ENTITIES if e.country != "IN"]
    shares = [figures.REGIONS[e.country] for e in onshore]
    for number in range(max(12, heads // 4)):
        entity = onshore[number] if number < len(onshore) else rng.choices(onshore, shares)[0]
        _engagement(draw, rng.choice(clients), entity)
    by_entity: dict[str, list[Project]] = {}
    contracts = {c.code: c for c in firm.contracts}
    for project in firm.projects:
        assert project.contract is not None
        owner = contracts[project.contract.id].legal_entity.id
        by_entity.setdefault(owner, []).append(project)
    abroad = [p for code in ("LE-US", "LE-UK", "LE-DE", "LE-CA") for p in by_entity.get(code, [])]
    for person in firm.resources:
        home = by_entity.get(person.legal_entity.id, abroad)
        wanted = rng.sample(home, min(len(home), rng.choice((1, 1, 2))))
        if person.country == "IN" or rng.random() < 0.1:
            wanted = rng.sample(abroad, min(2, len(abroad)))
        for project in wanted:
            draw.assign(person, project)
            firm.allocations.append(_booking(draw, person, project, len(wanted)))
        _month_of(draw, person, wanted)


def _engagement(draw: Draw, client: Client, entity: figures.Entity) -> None:
    """One project with a contract of the mix; work on fixed fees and retainers is cost only."""
    kind = draw.random.choices(list(figures.CONTRACT_MIX), list(figures.CONTRACT_MIX.values()))[0]
    fee = Decimal(draw.random.randint(20, 200)) * 1000
    line: dict[str, Any] = {}
    extra: tuple[dict[str, Any], ...] = ()
    if kind == "FIXED_FEE":
        line = {"kind": "FIXED", "fixed_amount": fee}
    elif kind == "RETAINER":
        line = {"kind": "RETAINER", "fixed_amount": fee / 10}
    elif kind == "MIXED":
        line, extra = {"kind": "FIXED", "fixed_amount": fee, "tasks": ("Discovery",)}, ({},)
    draw.engagement(client, entity, contract={"type": kind}, line=line, extra_lines=extra)


def _booking(draw: Draw, person: Resource, project: Project, shared: int) -> Allocation:
    code = f"B-{len(draw.firm.allocations) + 1:05d}"
    return Allocation(
        **draw.meta(code),
        code=code,
        resource=coded(person.code),
        project=coded(project.code),
        start=draw.firm.month,
        end=draw.firm.month + timedelta(days=60),
        minutes_per_day=480 // shared,
        reference=code,
    )


def _month_of(draw: Draw, person: Resource, projects: list[Project]) -> None:
    """About twelve cells a week, 7 to 8.5 hours a day, one in twenty not billable."""
    rng = draw.random
    for day in draw.working_days():
        if rng.random() < 0.06:
            continue  # a day off
        cells = rng.choice((2, 2, 3))
        left = rng.choice((420, 450, 480, 480, 510))
        for cell in range(cells):
            minutes = left if cell == cells - 1 else rng.choice((120, 150, 180))
            left -= minutes
            if minutes > 0:
                draw.entry(
                    person,
                    rng.choice(projects).code,
                    day,
                    minutes,
                    task=rng.choice(TASKS),
                    billable=rng.random() > 0.05,
                )


def _deals(draw: Draw) -> None:
    """Two won deals, one complete and one that lacks what the gate asks for."""
    firm = draw.firm
    for number, complete in ((1, True), (2, False)):
        entity = figures.ENTITIES[2]
        code = f"P-9{number:03d}"
        firm.deals.append(
            Deal(
                **draw.meta(f"D-{number}"),
                name=f"New programme {number}",
                client=coded(firm.clients[0].code),
                stage="WON",
                amount=Decimal(120_000),
                currency=entity.currency,
                contract_type="TM",
                legal_entity=entity.code if complete else "",
                project_code=code,
                start=firm.month + timedelta(days=31),
                end=firm.month + timedelta(days=200),
                rate_card="RC-STD-GBP",
                signed=complete,
            )
        )

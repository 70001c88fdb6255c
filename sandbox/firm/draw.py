"""One firm under construction: make a client, an account, an engagement, an entry.

Source  domain.md F.2. Every maker gives a record that bills, unless an override says otherwise.
"""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from contracts.entities.engagement import (
    Assignment,
    Contract,
    ContractLine,
    Project,
    RateCard,
    RateLine,
    Task,
)
from contracts.entities.party import BillingAccount, Client, Resource
from contracts.entities.record import coded
from contracts.ids import Ref
from sandbox.firm import figures
from sandbox.firm.model import Firm, PlannedEntry

TASKS = ("Discovery", "Design", "Build", "Test")
NARRATIVES = (
    "workshop with the client team",
    "data model and interfaces",
    "build and unit tests",
    "review of the test results",
    "steering committee papers",
)
OFFSHORE = "_OFF"


class Draw:
    """One firm under construction. Shared by generate and defects."""

    def __init__(self, size: str, seed: int, month: date) -> None:
        self.random = random.Random(f"{size}:{seed}")
        self.firm = Firm(size=size, seed=seed, month=month)
        self.stamp = datetime(month.year, month.month, 1, tzinfo=UTC) - timedelta(days=90)
        self.contract_start = month - timedelta(days=120)
        self.booked: dict[tuple[str, date], int] = {}

    def meta(self, key: str) -> dict[str, Any]:
        """The envelope of a generated record; loaders replace the reference by the vendor's."""
        return {"ref": Ref("", key), "source_version": 1, "source_updated_at": self.stamp}

    def working_days(self) -> list[date]:
        """Monday to Friday of the month."""
        first = self.firm.month
        days = [first + timedelta(days=n) for n in range(31)]
        return [d for d in days if d.month == first.month and d.weekday() < 5]

    def client(self) -> Client:
        """One more client."""
        code = f"CL-{len(self.firm.clients) + 1:04d}"
        entity = self.random.choice(figures.ENTITIES)
        made = Client(
            **self.meta(code),
            code=code,
            name=f"Client {code[3:]} Group",
            country=entity.country,
            default_currency=entity.currency,
        )
        self.firm.clients.append(made)
        return made

    def account(self, client: Client, entity: figures.Entity, **other: Any) -> BillingAccount:
        """A billing account of a client with one of our entities."""
        code = f"BA-{len(self.firm.billing_accounts) + 1:04d}"
        fields: dict[str, Any] = {
            "bill_to_name": client.name,
            "bill_to_address": f"{len(self.firm.billing_accounts) + 1} Market Street",
            "bill_to_country": entity.country,
            "contact_email": f"ap-{code.lower()}@client.example",
            "payment_terms": "Net 30",
        }
        made = BillingAccount(
            **self.meta(code),
            code=code,
            client=coded(client.code),
            legal_entity=coded(entity.code),
            currency=entity.currency,
            **(fields | other),
        )
        self.firm.billing_accounts.append(made)
        return made

    def engagement(
        self,
        client: Client,
        entity: figures.Entity,
        *,
        account: BillingAccount | None = None,
        contract: dict[str, Any] | None = None,
        project: dict[str, Any] | None = None,
        line: dict[str, Any] | None = None,
        extra_lines: tuple[dict[str, Any], ...] = (),
    ) -> Project:
        """A contract and its project, billable unless the overrides say otherwise."""
        number = len(self.firm.projects) + 1
        code, contract_code = f"P-{number:04d}", f"C-{number:04d}"
        payer = account or self.account(client, entity)
        lines = [line or {}, *extra_lines]
        base: dict[str, Any] = {
            "code": contract_code,
            "client": coded(client.code),
            "billing_account": coded(payer.code),
            "legal_entity": coded(entity.code),
            "currency": entity.currency,
            "start": self.contract_start,
            "end": self.firm.month + timedelta(days=400),
            "lines": tuple(_line(n, code, over) for n, over in enumerate(lines, start=1)),
        }
        self.firm.contracts.append(
            Contract(**self.meta(contract_code), **(base | (contract or {})))
        )
        shell: dict[str, Any] = {
            "code": code,
            "name": f"{client.name} programme {number}",
            "client": coded(client.code),
            "contract": coded(contract_code),
            "start": self.contract_start,
            "end": self.firm.month + timedelta(days=400),
            "region": entity.country,
        }
        made = Project(**self.meta(code), **(shell | (project or {})))
        self.firm.projects.append(made)
        for title in TASKS:
            self.firm.tasks.append(
                Task(
                    **self.meta(f"{code}/{title}"),
                    code=title,
                    project=coded(code),
                    name=title,
                )
            )
        return made

    def assign(self, person: Resource, project: Project, **other: Any) -> Assignment:
        """Put a person on a project in the role the contract prices."""
        code = f"A-{len(self.firm.assignments) + 1:05d}"
        assert person.home_role is not None
        fields: dict[str, Any] = {
            "role": person.home_role,
            "start": self.contract_start,
            "end": self.firm.month + timedelta(days=300),
        }
        made = Assignment(
            **self.meta(code),
            code=code,
            project=coded(project.code),
            resource=coded(person.code),
            **(fields | other),
        )
        self.firm.assignments.append(made)
        return made

    def entry(
        self,
        person: Resource,
        project: str,
        day: date,
        minutes: int,
        *,
        task: str | None = None,
        role: str = "",
        expected: frozenset[str] = frozenset(),
        billable: bool = True,
        narrative: str = "",
    ) -> None:
        """One timesheet cell; narratives differ so that nothing is a duplicate by chance."""
        assert person.home_role is not None
        number = len(self.firm.entries) + 1
        self.booked[person.code, day] = self.booked.get((person.code, day), 0) + minutes
        self.firm.entries.append(
            PlannedEntry(
                number=number,
                resource=person.code,
                project=project,
                task_title=task,
                role=role or person.home_role.id,
                work_date=day,
                minutes=minutes,
                billable=billable,
                narrative=narrative or f"{self.random.choice(NARRATIVES)} ({number})",
                expected=expected,
            )
        )

    def free_day(self, person: Resource, minutes: int, limit: int = 600) -> date:
        """A working day on which the person still has room; the emptiest when none has."""
        days = self.working_days()
        self.random.shuffle(days)
        for day in days:
            if self.booked.get((person.code, day), 0) + minutes <= limit:
                return day
        return min(days, key=lambda d: self.booked.get((person.code, d), 0))


def _line(number: int, project: str, over: dict[str, Any]) -> ContractLine:
    base: dict[str, Any] = {"line_no": number, "project": coded(project), "erp_item": "TIME"}
    return ContractLine(**(base | over))


def card(draw: Draw, code: str, currency: str, rates: dict[str, Decimal], **other: Any) -> RateCard:
    """An approved hourly card, one line a role."""
    start = draw.firm.month - timedelta(days=365)
    lines = tuple(
        RateLine(id=f"{code}/{role}", role=role, rate=rate, valid_from=start)
        for role, rate in rates.items()
    )
    fields: dict[str, Any] = {"lines": lines}
    made = RateCard(
        **draw.meta(code),
        code=code,
        name=code,
        currency=currency,
        valid_from=start,
        **(fields | other),
    )
    draw.firm.rate_cards.append(made)
    return made

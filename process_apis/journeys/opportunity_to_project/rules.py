"""What a won deal must say before anything is made of it, and what is made of it. Pure.

Source  domain.md D.1 (2: the gate), B.3 (contract, project).
"""

from datetime import date
from decimal import Decimal

from msgspec import Struct

from contracts.entities.deal import Deal
from contracts.ids import digest
from contracts.ports.system.crm import ClientDraft, ContractDraft
from contracts.ports.system.psa import ProjectDraft
from contracts.problem import FieldError

TASKS = ("Discovery", "Delivery", "Travel")
_TYPES = {
    "": "TM", "T&M": "TM", "TM": "TM", "TIME AND MATERIALS": "TM", "FIXED": "FIXED_FEE",
    "FIXED_FEE": "FIXED_FEE", "FIXED FEE": "FIXED_FEE", "RETAINER": "RETAINER",
    "TM_CAPPED": "TM_CAPPED", "CAPPED": "TM_CAPPED", "MIXED": "MIXED",
}  # fmt: skip


class Known(Struct, frozen=True, kw_only=True):
    """What the replica knows about the deal's surroundings; empty where it knows nothing.

    client, billing_account, rate_card: codes. company: the ERP's own id of the legal entity.
    """

    client: str = ""
    client_name: str = ""
    country: str = ""
    billing_account: str = ""
    company: str = ""
    rate_card: str = ""


class Plan(Struct, frozen=True, kw_only=True):
    """Everything that will be made, decided before the first of it is made. amount: exact."""

    deal: str
    deal_version: int
    client: str
    client_name: str
    country: str
    billing_account: str
    legal_entity: str
    company: str
    currency: str
    contract: str
    contract_type: str
    project: str
    name: str
    start: date
    end: date | None
    rate_card: str
    amount: Decimal | None

    def client_draft(self) -> ClientDraft:
        return ClientDraft(
            code=self.client, name=self.client_name, country=self.country, currency=self.currency
        )

    def contract_draft(self) -> ContractDraft:
        fixed = "" if self.contract_type == "TM" or self.amount is None else str(self.amount)
        return ContractDraft(
            code=self.contract, client=self.client, legal_entity=self.legal_entity,
            billing_account=self.billing_account, currency=self.currency, type=self.contract_type,
            start=self.start, end=self.end, rate_card=self.rate_card, project=self.project,
            fixed_amount=fixed,
        )  # fmt: skip

    def project_draft(self) -> ProjectDraft:
        return ProjectDraft(
            code=self.project, name=self.name, client=self.client, contract=self.contract,
            currency=self.currency, start=self.start, end=self.end, tasks=TASKS,
            rate_card=self.rate_card,
        )  # fmt: skip


def missing(deal: Deal, known: Known) -> tuple[FieldError, ...]:
    """The list OPP_INCOMPLETE: everything that is absent, not just the first."""
    kind = contract_type(deal)
    checks = (
        (deal.signed, "signed", "there is no signed document", "Attach the signature."),
        (known.client, "client", "the account is not mapped", "Give the account a client code."),
        (deal.legal_entity, "legal_entity", "no legal entity is chosen", "Choose who contracts."),
        (
            known.company or not deal.legal_entity, "legal_entity",
            "the ERP does not know the company", "Map the legal entity to its ERP company.",
        ),
        (deal.currency, "currency", "is empty", "Choose the currency of the contract."),
        (kind, "contract_type", "is not known", "One of TM, FIXED_FEE, RETAINER, TM_CAPPED."),
        (deal.start, "start", "is empty", "Set the first day."),
        (
            not (deal.start and deal.end) or deal.start < deal.end, "end",
            "is not after the start", "Correct the dates.",
        ),
        (
            known.rate_card or (kind not in ("", "TM", "TM_CAPPED") and deal.amount), "rate_card",
            "no prices: neither a rate card nor a fee", "Name an approved rate card.",
        ),
    )  # fmt: skip
    return tuple(
        FieldError(f"/{field}", reason, hint) for fine, field, reason, hint in checks if not fine
    )


def plan(deal: Deal, known: Known) -> Plan:
    """What to make of a complete deal. The same deal, the same codes: they are made of its id."""
    if deal.start is None:
        raise ValueError("a deal without a start is not complete")
    mark = digest((deal.ref.system, deal.ref.id))[:8]
    return Plan(
        deal=deal.ref.id,
        deal_version=deal.source_version,
        client=known.client,
        client_name=known.client_name or known.client,
        country=known.country,
        billing_account=known.billing_account or f"BA-{mark}",
        legal_entity=deal.legal_entity,
        company=known.company,
        currency=deal.currency,
        contract=f"C-{mark}",
        contract_type=contract_type(deal),
        project=deal.project_code or f"P-{mark}",
        name=deal.name,
        start=deal.start,
        end=deal.end,
        rate_card=known.rate_card,
        amount=deal.amount,
    )


def contract_type(deal: Deal) -> str:
    """Our word for the CRM's, empty when there is none."""
    return _TYPES.get(deal.contract_type.strip().upper(), "")

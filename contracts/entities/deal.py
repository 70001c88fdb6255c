"""Opportunities: work that may be, or has been, won (domain.md D.1)."""

from datetime import date
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from contracts.entities.record import Record
from contracts.ids import Ref


class Deal(Record, frozen=True, kw_only=True, tag="deal"):
    """Owner: CRM. amount: contract value in currency. rate_card: code. linked: ids written back."""

    name: str
    client: Ref
    stage: Literal["OPEN", "WON", "LOST"]
    amount: Decimal | None = None
    currency: str = ""
    contract_type: str = ""
    legal_entity: str = ""
    project_code: str = ""
    start: date | None = None
    end: date | None = None
    rate_card: str = ""
    signed: bool = False
    linked_contract: str = ""
    linked_job: str = ""


class DealLinks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ids the opportunity-to-project journey writes back; empty strings clear them."""

    contract: str = ""
    project: str = ""
    erp_job: str = ""

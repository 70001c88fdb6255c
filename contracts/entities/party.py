"""Clients, our legal entities, billing accounts, and people (domain.md B.2)."""

from datetime import date
from decimal import Decimal
from typing import Literal

from contracts.entities.record import Record
from contracts.ids import Ref


class Client(Record, frozen=True, kw_only=True, tag="client"):
    """country: ISO 3166 alpha-2. default_currency: ISO 4217. Owner: CRM; credit_hold: ERP."""

    code: str
    name: str
    status: Literal["PROSPECT", "ACTIVE", "ON_HOLD", "INACTIVE"] = "ACTIVE"
    country: str = ""
    default_currency: str = ""
    credit_hold: bool = False


class LegalEntity(Record, frozen=True, kw_only=True, tag="legal_entity"):
    """A company of the firm that owns contracts or employs people. Owner: ERP.

    tax_registration: its own tax number, empty when unregistered. tax_fx: True when an invoice
    in a foreign currency must also show tax in the functional currency (UK).
    """

    code: str
    name: str
    country: str
    functional_currency: str
    timezone: str = "UTC"
    tax_registration: str = ""
    tax_rounding_level: Literal["LINE", "TAX_GROUP", "DOCUMENT"] = "TAX_GROUP"
    tax_fx: bool = False
    max_lines_per_invoice: int = 900


class BillingAccount(Record, frozen=True, kw_only=True, tag="billing_account"):
    """What the ERP calls a customer: client x legal entity x currency. Owner: ERP."""

    code: str
    client: Ref
    legal_entity: Ref
    currency: str
    bill_to_name: str = ""
    bill_to_address: str = ""
    bill_to_country: str = ""
    contact_email: str = ""
    tax_id: str = ""
    tax_treatment: Literal["DOMESTIC", "REVERSE_CHARGE", "EXPORT", "INTERCOMPANY", "EXEMPT"] = (
        "DOMESTIC"
    )
    payment_terms: str = ""
    delivery: Literal["EMAIL", "PEPPOL", "PORTAL", "EDI"] = "EMAIL"
    endpoint_id: str = ""
    buyer_reference: str = ""
    po_required: bool = False
    active: bool = True


class CostCentre(Record, frozen=True, kw_only=True, tag="cost_centre"):
    """Owner: HCM."""

    code: str
    name: str
    legal_entity: Ref | None = None


class Role(Record, frozen=True, kw_only=True, tag="role"):
    """A job profile as projects use it. substitutable_by: codes of roles that may stand in."""

    code: str
    name: str
    substitutable_by: tuple[str, ...] = ()
    target_utilization: Decimal | None = None


class Resource(Record, frozen=True, kw_only=True, tag="resource"):
    """A person who records time; code is the person number. Owner: HCM.

    timezone: IANA. country: where the work is done, ISO 3166. hire_date and termination_date are
    both days of employment. manager: person number.
    """

    code: str
    name: str
    email: str
    legal_entity: Ref
    home_role: Ref | None = None
    cost_centre: Ref | None = None
    kind: Literal["EMPLOYEE", "CONTRACTOR", "GENERIC"] = "EMPLOYEE"
    fte: Decimal = Decimal(1)
    timezone: str = "UTC"
    country: str = ""
    location: str = ""
    grade: str = ""
    hire_date: date | None = None
    termination_date: date | None = None
    manager: Ref | None = None


class Leave(Record, frozen=True, kw_only=True, tag="leave"):
    """One day of leave of one person. minutes: leave on that day. full_day: nothing else fits."""

    code: str
    resource: Ref
    day: date
    minutes: int
    full_day: bool
    kind: str = ""


class CostRate(Record, frozen=True, kw_only=True, tag="cost_rate"):
    """What an hour costs us; restricted data. Scope: one person, or a role in a legal entity."""

    code: str
    resource: Ref | None = None
    role: Ref | None = None
    legal_entity: Ref | None = None
    currency: str
    rate: Decimal
    valid_from: date
    valid_to: date | None = None

"""The names of things a decision depends on, so that a change finds what it unblocks.

Grammar
    <entity>:<code>                a record, e.g. `project:PRJ-1`; a task is `task:<project>/<code>`
    <entity>:@<scope>              any record of that scope, e.g. `assignment:@P9/PRJ-1`
    xref:<entity>:<system>:<id>    a foreign id and the record it stands for
    map:<entity>:<system>:<code>   our code as a system knows it: customer, company, item, tax code
    time_entry:<system>:<id>       an entry; its new version is judged anyway, a neighbour's helps
    day:<person>/<date>            all entries of one person's day
A finding's root may end in `#<detail>` (which role has no price); unblock keys never do.

Scopes
    assignment:@<resource>/<project>        leave:@<resource>/<day>
    cost_rate:@<resource>                   cost_rate:@<legal entity or *>/<role>
    transfer_price:@<lender>/<borrower>     rate_card:@<owner>/<owner code>
    billing_account:@<client>/<legal entity>/<currency>
    purchase_order:@<contract>              contract:@<project>
    exchange_rate:@<base>/<quote>           resource:@<email, lower case>
"""

from collections.abc import Callable

from contracts.entities.engagement import (
    Assignment,
    Contract,
    PurchaseOrder,
    RateCard,
    TransferPrice,
)
from contracts.entities.finance import ExchangeRate
from contracts.entities.party import BillingAccount, CostRate, Leave, Resource
from contracts.entities.record import CrossReference, Record
from contracts.ids import Ref

Resolve = Callable[[str, Ref], str | None]


def entity_of(record: Record) -> str:
    """The record's tag, e.g. `project`."""
    return str(type(record).__struct_config__.tag)


def xref_key(entity: str, ref: Ref) -> str:
    """The key of a foreign id."""
    return f"xref:{entity}:{ref.system}:{ref.id}"


def map_key(entity: str, system: str, code: str) -> str:
    """The key of our code as a system knows it."""
    return f"map:{entity}:{system}:{code}"


def keys_of_xref(xref: CrossReference) -> tuple[str, ...]:
    """What a cross-reference unblocks."""
    return (
        f"xref:{xref.entity}:{xref.system}:{xref.external_id}",
        map_key(xref.entity, xref.system, xref.code),
    )


def references_in(record: Record) -> tuple[tuple[str, Ref], ...]:
    """The references that decide under which scopes a record is found."""
    match record:
        case Assignment():
            return (("resource", record.resource), ("project", record.project))
        case Leave():
            return (("resource", record.resource),)
        case CostRate():
            named = (
                ("resource", record.resource),
                ("role", record.role),
                ("legal_entity", record.legal_entity),
            )
            return tuple((entity, ref) for entity, ref in named if ref is not None)
        case BillingAccount():
            return (("client", record.client), ("legal_entity", record.legal_entity))
        case PurchaseOrder():
            return (("contract", record.contract),) if record.contract else ()
        case Contract():
            return tuple(("project", line.project) for line in record.lines if line.project)
    return ()


def scopes_of(record: Record, resolve: Resolve) -> tuple[str, ...]:
    """The scope keys of a record; none while a reference it needs is unknown."""
    codes = [resolve(entity, ref) for entity, ref in references_in(record)]
    match record:
        case RateCard():
            return (f"rate_card:@{record.owner}/{record.owner_code}",)
        case TransferPrice():
            return (f"transfer_price:@{record.lender}/{record.borrower}",)
        case ExchangeRate():
            return (f"exchange_rate:@{record.base}/{record.quote}",)
        case Resource():
            return (f"resource:@{record.email.lower()}",) if record.email else ()
        case Contract():
            return tuple(dict.fromkeys(f"contract:@{code}" for code in codes if code))
    if None in codes or not codes:
        return ()
    match record:
        case Leave():
            return (f"leave:@{codes[0]}/{record.day.isoformat()}",)
        case CostRate():
            return (_cost_scope(record, resolve),)
        case BillingAccount():
            return (f"billing_account:@{codes[0]}/{codes[1]}/{record.currency}",)
    return (f"{entity_of(record)}:@{'/'.join(str(code) for code in codes)}",)


def _cost_scope(record: CostRate, resolve: Resolve) -> str:
    if record.resource is not None:
        return f"cost_rate:@{resolve('resource', record.resource)}"
    entity = resolve("legal_entity", record.legal_entity) if record.legal_entity else "*"
    role = resolve("role", record.role) if record.role else "*"
    return f"cost_rate:@{entity}/{role}"

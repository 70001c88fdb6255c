"""Stage 7, the cost: what the hour costs us, and what one legal entity pays another for it.

Fires COST_RATE_MISSING (a warning: only the margin suffers), FX_RATE_MISSING, and, for the
intercompany rows alone, INTERCOMPANY_RULE_MISSING.

Source  domain.md B.1 (exchange), B.2 (cost rate), C.8 (intercompany).
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from contracts.entities.engagement import TransferPrice
from contracts.entities.party import CostRate, LegalEntity
from process_apis.journeys.approved_time_to_invoice.rules.case import Case, finding

SIX = Decimal("0.000001")
HUNDRED = Decimal(100)


def judge(case: Case) -> None:
    """Fills entity, cost_rate, cost_currency, transfer_rate, transfer_currency."""
    if case.resource is None:
        return
    _cost(case, case.resource.code)
    entity = case.snapshot.get("legal_entity", case.contracting)
    case.entity = entity if isinstance(entity, LegalEntity) else None
    if case.crosses:
        _transfer(case)
    if case.entity is not None and case.contract is not None and case.entity.tax_fx:
        ours, theirs = case.entity.functional_currency, case.contract.currency
        if ours != theirs and _exchange(case, theirs, ours) is None:
            keys = (f"exchange_rate:@{theirs}/{ours}", f"exchange_rate:@{ours}/{theirs}")
            case.say("FX_RATE_MISSING", keys[0], *keys, day=case.span.day.isoformat())


def _exchange(case: Case, base: str, quote: str) -> Decimal | None:
    if base != quote:
        case.span.only()
    return case.snapshot.exchange(base, quote, case.span.day)


def _cost(case: Case, person: str) -> None:
    scopes = (person, f"{case.employer}/{case.role}", f"*/{case.role}")
    for scope in scopes:
        valid = [
            rate
            for rate in case.snapshot.scoped(CostRate, scope)
            if case.span.within(rate.valid_from, rate.valid_to)
        ]
        if valid:
            latest = max(valid, key=lambda rate: rate.valid_from)
            case.cost_rate, case.cost_currency = latest.rate, latest.currency
            return
    keys = tuple(f"cost_rate:@{scope}" for scope in scopes)
    case.say("COST_RATE_MISSING", f"resource:{person}", *keys, role=case.role)


def _transfer(case: Case) -> None:
    scope = f"{case.employer}/{case.contracting}"
    valid = [
        price
        for price in case.snapshot.scoped(TransferPrice, scope)
        if case.span.within(price.valid_from, price.valid_to)
        and price.role in (None, case.role)
        and (price.rate is not None or price.cost_plus_pct is not None)
    ]
    key = f"transfer_price:@{scope}"
    if not valid:
        seen: dict[str, Any] = {
            "lender": case.employer,
            "borrower": case.contracting,
            "role": case.role,
        }
        case.intercompany.append(finding("INTERCOMPANY_RULE_MISSING", key, **seen))
        return
    best = max(valid, key=lambda price: (price.role is not None, price.valid_from))
    if best.rate is not None:
        case.transfer_rate = best.rate
        case.transfer_currency = best.currency or case.cost_currency
    elif case.cost_rate is not None:
        _cost_plus(case, best, case.cost_rate)
    else:
        keys = tuple(f"cost_rate:@{s}" for s in (case.resource_code, f"*/{case.role}"))
        root = f"resource:{case.resource_code}"
        about: dict[str, Any] = {"price": best.code, "absent": "cost rate"}
        case.intercompany.append(finding("INTERCOMPANY_RULE_MISSING", root, key, *keys, **about))


def _cost_plus(case: Case, price: TransferPrice, cost: Decimal) -> None:
    target = price.currency or case.cost_currency
    rate = _exchange(case, case.cost_currency, target)
    if rate is None:
        pair = f"exchange_rate:@{case.cost_currency}/{target}"
        back = f"exchange_rate:@{target}/{case.cost_currency}"
        day = case.span.day.isoformat()
        case.intercompany.append(finding("FX_RATE_MISSING", pair, pair, back, day=day))
        return
    markup = 1 + (price.cost_plus_pct or Decimal(0)) / HUNDRED
    case.transfer_rate = (cost * rate * markup).quantize(SIX, ROUND_HALF_UP)
    case.transfer_currency = target

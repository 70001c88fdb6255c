"""Stage 7, the price: which rate card line prices an hour, and why that one.

An assignment's own rate wins. Else tiers CONTRACT_LINE, CONTRACT, CLIENT, LE, STANDARD: the first
with a matching line; in it the highest score (person 32, task 16, role 8, grade 4, location 2, work
type 1); a tie is never decided. A project's card stands in for a contract line without one. In
the tiers below CONTRACT, cards in the contract's currency go before others.

Source  domain.md B.3 (rate resolution, normative).
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from contracts.entities.engagement import Contract, RateCard, RateLine
from contracts.entities.ledger import RateTrace
from contracts.ids import Ref
from process_apis.journeys.approved_time_to_invoice.rules.case import Case, Price
from process_apis.journeys.approved_time_to_invoice.rules.identity import absent

ONE = Decimal(1)
HUNDRED = Decimal(100)
SIX = Decimal("0.000001")
PERSON = 32


class Candidate(NamedTuple):
    """A line that fits, in the tier of its card."""

    score: int
    tier: str
    card: RateCard
    line: RateLine

    def __str__(self) -> str:
        return f"{self.tier} {self.card.code}/{self.line.id} score {self.score}"


class Tier(NamedTuple):
    """The cards of one tier, and the keys under which more may come."""

    name: str
    cards: list[RateCard]
    keys: tuple[str, ...]


def judge(case: Case) -> None:
    """Fills price, or says why there is none."""
    contract = case.contract
    if contract is None or case.resource is None or case.project is None:
        return
    tiers = _tiers(case, contract)
    if tiers is None:
        return
    candidates = _candidates(case, tiers)
    chosen = _choose(candidates)
    if case.override is not None:
        _overridden(case, chosen, candidates)
        return
    if not candidates:
        _not_found(case, contract, tiers)
    elif len(chosen) > 1:
        roots = sorted({f"rate_card:{each.card.code}" for each in chosen})
        tied = [str(each) for each in chosen]
        case.say("RATE_AMBIGUOUS", f"{roots[0]}#{case.role}", *roots, *_keys(tiers), tied=tied)
    else:
        _priced(case, contract, chosen[0], candidates, tiers)


def _tiers(case: Case, contract: Contract) -> list[Tier] | None:
    line_no = case.line.line_no if case.line is not None else 0
    assert case.project is not None
    nearest = (case.line.rate_card if case.line is not None else None) or case.project.rate_card
    named = (
        ("CONTRACT_LINE", nearest, f"{contract.code}/{line_no}"),
        ("CONTRACT", contract.rate_card, contract.code),
        ("CLIENT", None, case.client_code),
        ("LE", None, case.contracting),
        ("STANDARD", None, ""),
    )
    tiers: list[Tier] = []
    for name, ref, owner in named:
        if ref is not None and case.snapshot.find(RateCard, ref) is None:
            key = absent(case, "rate_card", ref)
            keys = (key, f"contract:{contract.code}", f"project:{case.project.code}")
            case.say("RATE_NOT_FOUND", key, *keys, observed=str(ref))
            return None
        tiers.append(_tier(case, contract.currency, name, ref, owner))
    return tiers


def _tier(case: Case, currency: str, name: str, ref: Ref | None, owner: str) -> Tier:
    scope = f"{name}/{owner}"
    cards = {card.code: card for card in case.snapshot.scoped(RateCard, scope)}
    explicit = case.snapshot.find(RateCard, ref)
    if explicit is not None:
        cards[explicit.code] = explicit
    valid = [
        card
        for card in cards.values()
        if case.span.within(card.valid_from, card.valid_to) and card.status == "APPROVED"
    ]
    if name in ("CLIENT", "LE", "STANDARD"):
        valid = [card for card in valid if card.currency == currency] or valid
    keys = (*(f"rate_card:{code}" for code in sorted(cards)), f"rate_card:@{scope}")
    return Tier(name, sorted(valid, key=lambda card: card.code), keys)


def _keys(tiers: Iterable[Tier]) -> tuple[str, ...]:
    return tuple(key for tier in tiers for key in tier.keys)


def _score(case: Case, line: RateLine) -> int:
    """Sum of the weights of the dimensions the line names; -1 when one differs."""
    person = case.resource
    assert person is not None
    score = 0
    for wanted, seen, weight in (
        (line.resource, person.code, PERSON),
        (line.task, case.task.code if case.task else None, 16),
        (line.role, case.role or None, 8),
        (line.grade, person.grade, 4),
        (line.location, person.location, 2),
        (line.work_type, case.question.work_type, 1),
    ):
        if wanted is not None:
            if wanted != seen:
                return -1
            score += weight
    return score


def _candidates(case: Case, tiers: Iterable[Tier]) -> list[Candidate]:
    """All matching lines, in order of tier, then best score first, then id."""
    found: list[Candidate] = []
    for tier in tiers:
        here = [
            Candidate(score, tier.name, card, line)
            for card in tier.cards
            for line in card.lines
            if (score := _score(case, line)) >= 0
            and case.span.within(line.valid_from, line.valid_to)
        ]
        found += sorted(here, key=lambda each: (-each.score, each.card.code, each.line.id))
    if case.snapshot.policies.resolution_mode == "PERSON_FIRST":
        found.sort(key=lambda each: each.score < PERSON)  # stable: tiers keep their order
    return found


def _choose(candidates: list[Candidate]) -> list[Candidate]:
    """The winner, or all that tie for it."""
    if not candidates:
        return []
    first = candidates[0]
    return [c for c in candidates if c.tier == first.tier and c.score == first.score]


def _rejected(candidates: list[Candidate], winner: Candidate | None) -> tuple[str, ...]:
    return tuple(str(each) for each in candidates if each is not winner)[:3]


def _not_found(case: Case, contract: Contract, tiers: list[Tier]) -> None:
    assert case.resource is not None
    assert case.project is not None
    cards = [card.code for tier in tiers for card in tier.cards]
    root = f"rate_card:{cards[0]}" if cards else f"contract:{contract.code}"
    scope = f"assignment:@{case.resource.code}/{case.project.code}"
    keys = (*_keys(tiers), f"contract:{contract.code}", f"project:{case.project.code}", scope)
    case.say(
        "RATE_NOT_FOUND",
        f"{root}#{case.role}",
        *keys,
        role=case.role,
        resource=case.resource.code,
        tiers_tried=[f"{tier.name}: {', '.join(c.code for c in tier.cards)}" for tier in tiers],
    )


def _priced(
    case: Case, contract: Contract, won: Candidate, candidates: list[Candidate], tiers: list[Tier]
) -> None:
    card, line = won.card, won.line
    key = f"rate_card:{card.code}"
    if card.currency != contract.currency:
        keys = (key, f"contract:{contract.code}", *_keys(tiers))
        seen: dict[str, Any] = {"card": card.currency, "contract": contract.currency}
        case.say("RATE_CURRENCY_MISMATCH", key, *keys, **seen)
        return
    if line.rate < 0 or (not line.rate and not line.explicit_zero):
        case.say("RATE_ZERO", f"{key}#{line.id}", key, rate=str(line.rate))
        return
    multiplier = _multiplier(case, won)
    trace = RateTrace(
        mode=case.snapshot.policies.resolution_mode,
        tier=won.tier,
        card=card.code,
        card_version=card.card_version,
        line=line.id,
        score=won.score,
        rate=line.rate,
        multiplier=multiplier,
        rejected=_rejected(candidates, won),
    )
    half_day = card.hours_per_day * 30 if card.uom == "DAY" else None
    _set_price(case, line.rate, half_day, trace)


def _overridden(case: Case, chosen: list[Candidate], candidates: list[Candidate]) -> None:
    """The assignment's rate is an hour's; multipliers still come from the card that would price."""
    assert case.assignment is not None
    assert case.override is not None
    key = f"assignment:{case.assignment.code}"
    if case.override <= 0:
        case.say("RATE_ZERO", key, rate=str(case.override))
        return
    won = chosen[0] if len(chosen) == 1 else None
    trace = RateTrace(
        mode=case.snapshot.policies.resolution_mode,
        tier="ASSIGNMENT",
        card="",
        card_version=0,
        line=case.assignment.code,
        score=0,
        rate=case.override,
        multiplier=_multiplier(case, won),
        rejected=_rejected(candidates, None),
    )
    _set_price(case, case.override, None, trace)


def _multiplier(case: Case, won: Candidate | None) -> Decimal:
    """Of the line, else of the card, for the rate class; travel billed in part lowers it."""
    wanted = case.question.rate_class
    found: Decimal | None = None
    if won is not None:
        found = won.line.multipliers.get(wanted)
        if found is None:
            found = won.card.multipliers.get(wanted)
    if found is None:
        found = ONE
        if wanted != "STANDARD":
            contract = case.contract
            assert contract is not None
            root = f"rate_card:{won.card.code}" if won else f"contract:{contract.code}"
            keys = (root, f"rate_card:@CONTRACT/{contract.code}", f"contract:{contract.code}")
            case.say("OT_RULE_MISSING", f"{root}#{wanted}", *keys, rate_class=wanted)
    contract = case.contract
    if case.question.work_type == "TRAVEL" and contract and contract.travel_billing == "PERCENT":
        found = found * contract.travel_percent / HUNDRED
    return found


def _set_price(case: Case, rate: Decimal, half_day: Decimal | None, trace: RateTrace) -> None:
    """rate: of an hour, or of a day when half_day (its minutes) is given."""
    hourly = rate if half_day is None else rate * 30 / half_day
    unit = rate * trace.multiplier if half_day is None else rate * trace.multiplier / 2
    hourly = hourly.quantize(SIX, ROUND_HALF_UP)
    case.price = Price(
        rate=hourly,
        multiplier=trace.multiplier,
        unit=unit,
        half_day_minutes=half_day,
        trace=trace,
    )
    usual = case.snapshot.median(case.role, case.client_code)
    policies = case.snapshot.policies
    if usual and not usual * policies.outlier_low <= hourly <= usual * policies.outlier_high:
        root = f"rate_card:{trace.card}" if trace.card else f"assignment:{trace.line}"
        case.say("RATE_OUTLIER", f"{root}#{case.role}", root, rate=str(hourly), median=str(usual))

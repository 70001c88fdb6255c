"""Master data as evaluation sees it: resolved, indexed, and cheap to keep up to date.

One owner changes a snapshot between evaluations; evaluation only reads it. References whose
target is not known yet are kept and indexed when the target comes. The grammar of keys is in
keys.py. Precedence of cross-references: by hand, a record's own id, an alias, stored automatic.

Source  domain.md B.0 (cross-references), C.1 (snapshot), J.1.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar, cast

from msgspec import Struct

from contracts.entities.engagement import Task
from contracts.entities.finance import ExchangeRate
from contracts.entities.master import MasterRecord
from contracts.entities.party import Resource
from contracts.entities.record import Alias, CrossReference, Record
from contracts.ids import Ref
from process_apis.journeys.approved_time_to_invoice.rules.keys import (
    entity_of,
    keys_of_xref,
    map_key,
    references_in,
    scopes_of,
    xref_key,
)
from process_apis.journeys.approved_time_to_invoice.rules.verdict import Policies

R = TypeVar("R", bound=Record)
Foreign = tuple[str, str, str]  # entity, system, id

MAPS = frozenset({"item", "tax_code", "gl_dimension"})  # many of our keys, one of theirs
UNJUDGED = frozenset({"leave", "allocation", "accounting_period", "deal", "cost_centre"})
BY_HAND, OWN, ALIASED, STORED = range(4)


class Applied(Struct, frozen=True):
    """keys: all that the change unblocks. references: cross-references it made."""

    keys: tuple[str, ...]
    references: tuple[CrossReference, ...]


class Snapshot:
    """cases: answers of the rules, kept until a change that may alter them."""

    def __init__(
        self, *, erp_instance_of: Mapping[str, str], policies: Policies, version: str
    ) -> None:
        self.erp_instance_of = dict(erp_instance_of)
        self.policies = policies
        self.version = version
        self.cases: dict[Any, Any] = {}
        self._records: dict[str, dict[str, Record]] = {}
        self._by_ref: dict[Foreign, tuple[Record, str | None, tuple[str, ...]]] = {}
        self._scoped: dict[str, dict[Foreign, Record]] = {}
        self._claims: dict[Foreign, dict[int, str]] = {}
        self._codes: dict[Foreign, str] = {}
        self._externals: dict[tuple[str, str, str], dict[str, None]] = {}
        self._referrers: dict[Foreign, dict[Foreign, None]] = {}
        self._aliases: dict[str, dict[Foreign, None]] = {}
        self._medians: dict[tuple[str, str], Decimal] = {}
        self._rates: dict[str, tuple[list[date], list[Decimal]]] = {}
        self._touched: dict[str, None] = {}
        self._made: dict[Foreign, CrossReference] = {}

    @classmethod
    def build(
        cls,
        records: Iterable[MasterRecord],
        xrefs: Iterable[CrossReference],
        *,
        erp_instance_of: Mapping[str, str],
        policies: Policies,
        version: str,
    ) -> "Snapshot":
        """A snapshot of everything at once. The order of records and xrefs is of no matter."""
        made = cls(erp_instance_of=erp_instance_of, policies=policies, version=version)
        made.apply(records, xrefs)
        return made

    # ---- reading

    def resolve(self, entity: str, ref: Ref) -> str | None:
        """The canonical code a reference stands for; None when it is not known."""
        if not ref.system:
            return ref.id or None
        return self._codes.get((entity, ref.system, ref.id))

    def get(self, entity: str, code: str) -> Record | None:
        """The live record of a code. A task's code is `<project>/<code>`."""
        return self._records.get(entity, {}).get(code)

    def find(self, kind: type[R], ref: Ref | None) -> R | None:
        """The live record a reference stands for."""
        if ref is None:
            return None
        entity = str(kind.__struct_config__.tag)
        code = self.resolve(entity, ref)
        return None if code is None else cast(R | None, self.get(entity, code))

    def task(self, ref: Ref, project: str) -> Task | None:
        """A task of this project, by its own id, by `code` or by `<project>/<code>`."""
        code = self.resolve("task", ref)
        if code is None:
            return None
        full = code if code.startswith(f"{project}/") else f"{project}/{code}"
        return cast(Task | None, self.get("task", full))

    def scoped(self, kind: type[R], scope: str) -> list[R]:
        """All live records of a scope (without the entity and `@`), in order of their code."""
        found = self._scoped.get(f"{kind.__struct_config__.tag}:@{scope}")
        if not found:
            return []
        return sorted(cast(Iterable[R], found.values()), key=lambda r: getattr(r, "code", ""))

    def external(self, entity: str, code: str, system: str) -> str | None:
        """How a system calls our code; the first of several in text order."""
        ids = self._externals.get((entity, code, system))
        return min(ids) if ids else None

    def person(self, ref: Ref) -> str:
        """The key under which the entries of one person come together."""
        return self.resolve("resource", ref) or str(ref)

    def median(self, role: str, client: str) -> Decimal | None:
        """The usual hourly price of a role at a client."""
        return self._medians.get((role, client))

    def exchange(self, base: str, quote: str, day: date) -> Decimal | None:
        """How much quote one base buys: direct, inverse, or through one common currency."""
        if base == quote:
            return Decimal(1)
        direct = self._leg(base, quote, day)
        if direct is not None:
            return direct
        for middle in ("EUR", "USD", "GBP"):
            first, second = self._leg(base, middle, day), self._leg(middle, quote, day)
            if first is not None and second is not None:
                return first * second
        return None

    def keys_of(self, record: Record) -> tuple[str, ...]:
        """What this record unblocks under today's cross-references."""
        if isinstance(record, Alias):
            return (xref_key(record.of, record.ref),)
        entity, code = entity_of(record), self._code_of(record)
        own = (f"{entity}:{code}",) if code else ()
        return (*own, xref_key(entity, record.ref), *scopes_of(record, self.resolve))

    # ---- changing

    def apply(
        self,
        records: Iterable[MasterRecord],
        xrefs: Iterable[CrossReference] = (),
        *,
        version: str | None = None,
    ) -> Applied:
        """Take many changes; records must be newer than what is held (the store sees to it)."""
        for xref in xrefs:
            self._take_xref(xref)
        for record in records:
            self._take(record)
        if version is not None:
            self.version = version
        return self._applied()

    def put(self, record: MasterRecord) -> Applied:
        """Take one record, or its tombstone."""
        self._take(record)
        return self._applied()

    def put_xref(self, xref: CrossReference) -> Applied:
        """Take one cross-reference. A fuzzy match is not taken: it never feeds money."""
        self._take_xref(xref)
        return self._applied()

    def drop_xref(self, xref: CrossReference) -> Applied:
        """Forget a cross-reference."""
        if xref.entity in MAPS:
            self._externals.pop((xref.entity, xref.code, xref.system), None)
        else:
            rank = BY_HAND if xref.match == "MANUAL" else STORED
            self._claim((xref.entity, xref.system, xref.external_id), rank, None)
        self.cases.clear()
        return self._applied()

    def set_medians(self, medians: Mapping[tuple[str, str], Decimal]) -> None:
        """By (role, client): the usual hourly price."""
        self._medians = dict(medians)
        self.cases.clear()

    # ---- inside

    def _applied(self) -> Applied:
        result = Applied(tuple(self._touched), tuple(self._made.values()))
        self._touched, self._made = {}, {}
        return result

    def _touch(self, keys: Iterable[str]) -> None:
        self._touched.update(dict.fromkeys(keys))

    def _take(self, record: Record) -> None:
        entity = entity_of(record)
        if entity not in UNJUDGED:
            self.cases.clear()
        if isinstance(record, Alias):
            self._take_alias(record)
            return
        key = (entity, record.ref.system, record.ref.id)
        self._unindex(key)
        if record.deleted:
            self._touch(self.keys_of(record))
            self._claim(key, OWN, None)
        else:
            self._index(key, record)

    def _code_of(self, record: Record) -> str | None:
        code: str | None = getattr(record, "code", None)
        if isinstance(record, Task):
            project = self.resolve("project", record.project)
            return f"{project}/{code}" if project else None
        return code

    def _index(self, key: Foreign, record: Record) -> None:
        code, scopes = self._code_of(record), scopes_of(record, self.resolve)
        self._by_ref[key] = (record, code, scopes)
        needs = references_in(record)
        if isinstance(record, Task):
            needs = (("project", record.project),)
        for entity, ref in needs:
            if ref.system:
                self._referrers.setdefault((entity, ref.system, ref.id), {})[key] = None
        for scope in scopes:
            self._scoped.setdefault(scope, {})[key] = record
        if isinstance(record, ExchangeRate):
            self._rates.pop(f"{record.base}/{record.quote}", None)
        if code:
            self._records.setdefault(key[0], {})[code] = record
            self._claim(key, OWN, code)
        self._touch(self.keys_of(record))
        if isinstance(record, Resource):
            self._match_emails(record.email)

    def _unindex(self, key: Foreign) -> None:
        record, code, scopes = self._by_ref.pop(key, (None, None, ()))
        if record is None:
            return
        if code and self._records.get(key[0], {}).get(code) is record:
            del self._records[key[0]][code]
        for scope in scopes:
            self._scoped.get(scope, {}).pop(key, None)
        if isinstance(record, ExchangeRate):
            self._rates.pop(f"{record.base}/{record.quote}", None)
        if isinstance(record, Resource):
            self._match_emails(record.email)

    def _take_alias(self, alias: Alias) -> None:
        key = (alias.of, alias.ref.system, alias.ref.id)
        for waiting in self._aliases.values():
            waiting.pop(key, None)
        if alias.deleted:
            self._claim(key, ALIASED, None)
        elif alias.code:
            self._claim(key, ALIASED, alias.code)
        elif alias.email and alias.of == "resource":
            self._aliases.setdefault(alias.email.lower(), {})[key] = None
            self._match_emails(alias.email)

    def _match_emails(self, email: str) -> None:
        """Two people with one address match nobody."""
        waiting = self._aliases.get(email.lower())
        if waiting:
            people = self.scoped(Resource, email.lower())
            code = people[0].code if len(people) == 1 else None
            for key in tuple(waiting):
                self._claim(key, ALIASED, code)

    def _take_xref(self, xref: CrossReference) -> None:
        if xref.match not in ("MANUAL", "AUTO_EXACT"):
            return
        self.cases.clear()
        self._touch(keys_of_xref(xref))
        if xref.entity in MAPS:
            self._externals[(xref.entity, xref.code, xref.system)] = {xref.external_id: None}
            return
        rank = BY_HAND if xref.match == "MANUAL" else STORED
        self._claim((xref.entity, xref.system, xref.external_id), rank, xref.code)

    def _claim(self, key: Foreign, rank: int, code: str | None) -> None:
        """Somebody says what a foreign id stands for (None: no more). The best rank counts."""
        claims = self._claims.setdefault(key, {})
        if code is None:
            claims.pop(rank, None)
        else:
            claims[rank] = code
        before, after = self._codes.get(key), claims[min(claims)] if claims else None
        if before == after:
            return
        entity, system, foreign = key
        if before is not None:
            del self._codes[key]
            self._externals.get((entity, before, system), {}).pop(foreign, None)
        if after is not None:
            self._codes[key] = after
            self._externals.setdefault((entity, after, system), {})[foreign] = None
            self._touch((xref_key(entity, Ref(system, foreign)), map_key(entity, system, after)))
            if min(claims) in (OWN, ALIASED):
                self._made[key] = CrossReference(
                    entity=entity, code=after, system=system, external_id=foreign,
                    match="AUTO_EXACT", matched_by="own id" if OWN in claims else "alias",
                )  # fmt: skip
        self.cases.clear()
        for referrer in tuple(self._referrers.get(key, ())):
            held = self._by_ref.get(referrer)
            if held is not None:
                self._unindex(referrer)
                self._index(referrer, held[0])

    def _leg(self, base: str, quote: str, day: date) -> Decimal | None:
        if base == quote:
            return Decimal(1)
        rate = self._latest(base, quote, day)
        if rate is None:
            inverse = self._latest(quote, base, day)
            return Decimal(1) / inverse if inverse else None
        return rate

    def _latest(self, base: str, quote: str, day: date) -> Decimal | None:
        pair = f"{base}/{quote}"
        if pair not in self._rates:
            rows = sorted((r.day, r.rate) for r in self.scoped(ExchangeRate, pair))
            self._rates[pair] = ([row[0] for row in rows], [row[1] for row in rows])
        days, rates = self._rates[pair]
        at = bisect_right(days, day) - 1
        if at < 0 or (day - days[at]).days > self.policies.fx_max_age_days:
            return None
        return rates[at]

"""Put a won deal that cannot be delivered yet on a desk, and take it off once it can.

One live item a deal, whatever its version: who took it keeps it while the deal is completed. It
holds the ask, so that a change of the deal or of what it names starts the journey again.
Source  domain.md D.1 (2: `OPP_INCOMPLETE`, SALES_OPS).
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from chassis import clock
from contracts.catalogue import CATALOGUE
from contracts.entities.deal import Deal
from contracts.entities.work_item import Finding
from contracts.money import money
from contracts.problem import FieldError
from process_apis import bulk, events, work_items
from process_apis.around import around
from process_apis.tables import LIVE_ITEM_STATES, unblock_key, work_item
from process_apis.work_items import Change, Subject

SUBJECT = "deal"
CODE = "OPP_INCOMPLETE"


async def tell(
    deal: Deal, gaps: tuple[FieldError, ...], ask: dict[str, Any], erp: str
) -> None:
    """The deal's live item is now exactly this: one with gaps, none without. May be repeated.

    ask: what to start again, as plain data. erp: the instance that would have to know the company.
    """
    subject = Subject(SUBJECT, f"{ask['crm']}:{ask['deal_id']}", 0)
    findings = [_finding(deal, gaps, ask, erp)] if gaps else []
    known = deal.amount is not None and deal.currency
    at_risk = money(deal.amount, deal.currency) if known and deal.amount is not None else None

    def work(connection: Connection) -> bool:
        live = work_items.live_of(connection, SUBJECT, [subject.id]).get(subject.id, [])
        if not live and not findings:
            return False
        change = Change(subject, findings, at_risk, live)
        facts = work_items.settle(connection, [change], clock.now())
        events.append(connection, around().source, facts)
        return True

    if await around().database.write(work):
        events.wake()


async def waiting(keys: Iterable[str]) -> list[dict[str, Any]]:
    """Asks of deals that wait for one of these keys, each with an attempt nobody has made yet."""
    wanted = list(dict.fromkeys(keys))
    if not wanted:
        return []

    def look(connection: Connection) -> list[dict[str, Any]]:
        query = (
            select(work_item.c.id, work_item.c.attempts, work_item.c.context)
            .join(unblock_key, unblock_key.c.work_item_id == work_item.c.id)
            .where(
                bulk.among(connection, unblock_key.c.key, wanted),
                work_item.c.subject_type == SUBJECT,
                work_item.c.state.in_(LIVE_ITEM_STATES),
            )
            .distinct()
        )
        return [
            {**msgspec.json.decode(row.context)["ask"], "attempt": f"{row.id}.{row.attempts}"}
            for row in connection.execute(query)
        ]

    return await around().database.read(look)


def _finding(deal: Deal, gaps: tuple[FieldError, ...], ask: dict[str, Any], erp: str) -> Finding:
    kind = CATALOGUE[CODE]
    company, client = deal.legal_entity, deal.client
    keys = [f"xref:deal:{ask['crm']}:{ask['deal_id']}", f"xref:client:{client.system}:{client.id}"]
    if company:
        keys += [f"legal_entity:{company}", f"map:legal_entity:{erp}:{company}"]
    if deal.rate_card:
        keys.append(f"rate_card:{deal.rate_card}")
    return Finding(
        code=CODE,
        severity=kind.severity,
        owner=kind.owner,
        root=f"deal:{ask['crm']}:{ask['deal_id']}",
        unblock_keys=tuple(keys),
        context={
            "deal": deal.name,
            "version": deal.source_version,
            "missing": [
                {"field": gap.pointer[1:], "reason": gap.reason, "do": gap.hint} for gap in gaps
            ],
            "ask": ask,
        },
        hint=kind.hint,
    )

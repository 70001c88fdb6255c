"""The posting protocol as transactions: every move of an invoice is committed before the next.

An attempt is written before its call and closed after it. One that is found open was interrupted
between the two: nobody knows what it did, so the invoice is IN_DOUBT and is looked up. A sender
whose attempt another run has closed comes too late: whatever it has to say but a document is void.
Source  domain.md C.4.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, bindparam, func, select, update

from contracts.entities.finance import ErpInvoice, InvoiceDocument
from contracts.entities.work_item import Finding
from contracts.problem import Problem
from process_apis import bulk
from process_apis.billing import drafts
from process_apis.billing.document import document, same
from process_apis.billing.drafts import invoice_fact
from process_apis.billing.findings import about_invoice, finding
from process_apis.billing.settled import settle_books
from process_apis.billing.telling import Telling
from process_apis.tables import invoice, posting_attempt

_encode = msgspec.json.Encoder(order="deterministic").encode
_SENDABLE = ("QUEUED", "POSTING")
FINAL = frozenset({"POSTED", "POST_REJECTED", "ERP_CONFLICT", "CANCELLED", "DRAFT", "APPROVED"})

# Built once: making a statement costs as much as running it, and an invoice needs a dozen.
_attempts = posting_attempt.c
_LOCKED = select(invoice).where(invoice.c.id == bindparam("of")).with_for_update()
_STATUS = (
    update(invoice)
    .where(invoice.c.id == bindparam("of"))
    .values(status=bindparam("to"), updated_at=bindparam("at"))
)
_POSTED = (
    update(invoice)
    .where(invoice.c.id == bindparam("of"))
    .values(
        status="POSTED", erp_id=bindparam("erp"), erp_number=bindparam("number"),
        tax_minor=bindparam("tax"), total_minor=bindparam("total"), posted_at=bindparam("at"),
        updated_at=bindparam("at"),
    )
)  # fmt: skip
_CLOSED = (
    update(posting_attempt)
    .where(_attempts.invoice_id == bindparam("of"), _attempts.attempt_no == bindparam("number"))
    .values(outcome=bindparam("to"), finished_at=bindparam("at"), detail=bindparam("more"))
)
_LAST = select(func.max(_attempts.attempt_no)).where(_attempts.invoice_id == bindparam("of"))
_OPEN = _LAST.where(_attempts.outcome == "")
_DOUBTFUL = select(_attempts.attempt_no).where(
    _attempts.invoice_id == bindparam("of"), _attempts.outcome == "AMBIGUOUS"
)


class Send(Struct, frozen=True):
    """The attempt is committed: call now."""

    document: InvoiceDocument
    attempt_no: int


class Look(Struct, frozen=True):
    """An earlier attempt may have worked: look before sending."""


class Rest(Struct, frozen=True):
    """Nothing to send. status: where the invoice stands."""

    status: str


def begin(
    connection: Connection,
    id: str,
    at: datetime,
    telling: Telling,
    *,
    deadline_s: float,
    fresh_s: float,
    careful: bool,
) -> Send | Look | Rest:
    """The next move. careful: look before the first attempt too (idempotency class D).

    fresh_s: how old a look that found nothing may be to send again without another.
    """
    row = locked(connection, id)
    if row.status not in _SENDABLE:
        return Rest(row.status)
    interrupted = _open(connection, id)
    if interrupted is not None:
        doubt(connection, id, interrupted, "interrupted", at, telling)
        return Rest("IN_DOUBT")
    ready, missing = document(connection, row)
    if ready is None:
        reject(connection, id, None, missing, at, telling)
        return Rest("POST_REJECTED")
    if (careful or _doubtful(connection, id)) and not _looked(connection, id, at, fresh_s):
        return Look()
    number = _next(connection, id)
    connection.execute(
        posting_attempt.insert().values(
            invoice_id=id, attempt_no=number, kind="POST", request_hash=ready.content_hash,
            sent_at=at, deadline_at=at + timedelta(seconds=deadline_s), detail=b"{}",
        )
    )  # fmt: skip
    _status(connection, id, "POSTING", at)
    return Send(ready, number)


def post(
    connection: Connection,
    id: str,
    attempt_no: int | None,
    found: ErpInvoice,
    at: datetime,
    telling: Telling,
) -> None:
    """It is in the ERP: number, tax and totals are ours now, the rows are BILLED."""
    row = locked(connection, id)
    if row.status == "POSTED":
        return
    _close(connection, id, attempt_no, "SUCCESS", at, {"erp_id": found.ref.id})
    drafts.release_waiting(connection, [id])
    connection.execute(
        _POSTED,
        {
            "of": id, "erp": found.ref.id, "number": found.number, "tax": found.tax.minor,
            "total": found.total.minor, "at": at,
        },
    )  # fmt: skip
    settle_books(connection, id, at, telling)
    changed = locked(connection, id)
    differs: list[Finding] = []
    if (found.net.minor, found.net.currency) != (row.net_minor, row.currency):
        context = {"ours": f"{row.net_minor} {row.currency}", "theirs": str(found.net)}
        differs = [finding("ERP_TOTAL_MISMATCH", f"invoice:{id}", **context)]
    telling.tell([invoice_fact("invoice.posted", changed, at)])
    telling.tell(about_invoice(connection, changed, differs, at))


def reject(
    connection: Connection,
    id: str,
    attempt_no: int | None,
    findings: Sequence[Finding],
    at: datetime,
    telling: Telling,
) -> str:
    """Refused for good until something is mended; nothing is in the ERP. The status from now on."""
    if (overtaken := _overtaken(connection, id, attempt_no)) is not None:
        return overtaken
    _close(connection, id, attempt_no, "REJECTED", at, {"codes": [f.code for f in findings]})
    drafts.release_waiting(connection, [id])
    _told(connection, id, "POST_REJECTED", "invoice.rejected", findings, at, telling)
    return "POST_REJECTED"


def doubt(
    connection: Connection, id: str, attempt_no: int, because: str, at: datetime, telling: Telling
) -> str:
    """Nobody knows whether the ERP has it. The status from now on."""
    if (overtaken := _overtaken(connection, id, attempt_no)) is not None:
        return overtaken
    _close(connection, id, attempt_no, "AMBIGUOUS", at, {"because": because})
    row = locked(connection, id)
    found = finding("ERP_IN_DOUBT", f"invoice:{id}", reference=row.external_ref, because=because)
    _told(connection, id, "IN_DOUBT", "invoice.in_doubt", [found], at, telling)
    return "IN_DOUBT"


def conflict(
    connection: Connection,
    id: str,
    attempt_no: int | None,
    differs: dict[str, object],
    at: datetime,
    telling: Telling,
) -> None:
    """The ERP holds our reference with other content: a person decides."""
    _close(connection, id, attempt_no, "REJECTED", at, {"differs": differs})
    found = finding("ERP_CONFLICT", f"invoice:{id}", differs=differs)
    _told(connection, id, "ERP_CONFLICT", "invoice.rejected", [found], at, telling)


def not_sent(
    connection: Connection, id: str, attempt_no: int, trouble: Problem, at: datetime
) -> str:
    """It is certain that nothing happened: the invoice waits to be sent. The status from now on."""
    if (overtaken := _overtaken(connection, id, attempt_no)) is not None:
        return overtaken
    _close(connection, id, attempt_no, "NOT_SENT", at, {"fault": trouble.fault.code})
    _status(connection, id, "QUEUED", at)
    return "QUEUED"


def looked(
    connection: Connection,
    id: str,
    found: ErpInvoice | None,
    attempt_no: int | None,
    at: datetime,
    telling: Telling,
) -> str:
    """Book what a lookup saw: POSTED, ERP_CONFLICT or ABSENT (which changes nothing yet).

    attempt_no: the open attempt the lookup answers, if any.
    """
    row = locked(connection, id)
    if row.status in ("POSTED", "ERP_CONFLICT", "CANCELLED"):
        return str(row.status)
    ours, _ = document(connection, row) if found else (None, [])
    differs: dict[str, object] = {}
    if found is not None:
        unsaid: dict[str, object] = {"document": "can no longer be said in the ERP's ids"}
        differs = same(ours, found) if ours is not None else unsaid
    # An ERP that creates and posts in two calls may have been left with a draft of ours: nothing
    # is posted yet, and sending it again makes the connector go on where it stopped.
    there = found is not None and (bool(differs) or found.status != "DRAFT")
    connection.execute(
        posting_attempt.insert().values(
            invoice_id=id, attempt_no=_next(connection, id), kind="LOOKUP",
            request_hash=row.content_hash, sent_at=at, deadline_at=at, finished_at=at,
            outcome="FOUND" if there else "ABSENT",
            detail=_encode({} if found is None else {"erp_id": found.ref.id}),
        )
    )  # fmt: skip
    if found is None or not there:
        return "ABSENT"
    if differs:
        conflict(connection, id, attempt_no, differs, at, telling)
        return "ERP_CONFLICT"
    post(connection, id, attempt_no, found, at, telling)
    return "POSTED"


def queue_again(connection: Connection, id: str, at: datetime) -> int:
    """The same invoice under the same reference waits to be sent; its version tells runs apart."""
    row = locked(connection, id)
    connection.execute(
        update(invoice)
        .where(invoice.c.id == id)
        .values(status="QUEUED", version=row.version + 1, updated_at=at)
    )
    return int(row.version) + 1


def locked(connection: Connection, id: str) -> Row[Any]:
    """The invoice, held until the transaction ends."""
    return connection.execute(_LOCKED, {"of": id}).one()


def doubted_at(connection: Connection, id: str) -> datetime | None:
    """When the last attempt was given up without knowing."""
    query = select(func.max(posting_attempt.c.finished_at)).where(
        posting_attempt.c.invoice_id == id, posting_attempt.c.outcome == "AMBIGUOUS"
    )
    return connection.execute(query).scalar()


def absences(connection: Connection, id: str, since: datetime) -> list[datetime]:
    """Moments since then at which a lookup found nothing."""
    query = select(posting_attempt.c.finished_at).where(
        posting_attempt.c.invoice_id == id,
        posting_attempt.c.kind == "LOOKUP",
        posting_attempt.c.outcome == "ABSENT",
        posting_attempt.c.finished_at >= since,
    )
    return sorted(connection.execute(query).scalars())


def _open(connection: Connection, id: str) -> int | None:
    return connection.execute(_OPEN, {"of": id}).scalar()


def _doubtful(connection: Connection, id: str) -> bool:
    return connection.execute(_DOUBTFUL, {"of": id}).first() is not None


def _looked(connection: Connection, id: str, at: datetime, fresh_s: float) -> bool:
    return bool(absences(connection, id, at - timedelta(seconds=fresh_s)))


def _next(connection: Connection, id: str) -> int:
    return (connection.execute(_LAST, {"of": id}).scalar() or 0) + 1


def _overtaken(connection: Connection, id: str, attempt_no: int | None) -> str | None:
    """The status another run has brought the invoice to; None while the attempt is its sender's."""
    row = locked(connection, id)
    return None if attempt_no is None or attempt_no == _open(connection, id) else str(row.status)


def _close(
    connection: Connection,
    id: str,
    attempt_no: int | None,
    outcome: str,
    at: datetime,
    detail: dict[str, object],
) -> None:
    if attempt_no is None:
        return
    connection.execute(
        _CLOSED,
        {"of": id, "number": attempt_no, "to": outcome, "at": at, "more": _encode(detail)},
    )


def _status(connection: Connection, id: str, status: str, at: datetime) -> None:
    connection.execute(_STATUS, {"of": id, "to": status, "at": at})


def _told(
    connection: Connection,
    id: str,
    status: str,
    event: str,
    findings: Sequence[Finding],
    at: datetime,
    telling: Telling,
) -> None:
    _status(connection, id, status, at)
    row = locked(connection, id)
    telling.tell([invoice_fact(event, row, at)])
    telling.tell(about_invoice(connection, row, findings, at))


def among_statuses(connection: Connection, statuses: Sequence[str]) -> list[Row[Any]]:
    """Invoices in these states, by reference."""
    query = select(invoice).where(bulk.among(connection, invoice.c.status, statuses))
    return list(connection.execute(query.order_by(invoice.c.external_ref)))


def tell_queued(connection: Connection, ids: Sequence[str], at: datetime, telling: Telling) -> None:
    """Invoices that were refused are on their way again: their items close, the event is out."""
    for id in ids:
        row = locked(connection, id)
        telling.tell([invoice_fact("invoice.released", row, at)])
        telling.tell(about_invoice(connection, row, [], at))

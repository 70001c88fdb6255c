"""Look again at what only time can mend: future dates, rates not yet published, ended waivers."""

from datetime import date, datetime

from sqlalchemy import Connection, select, update

from contracts.catalogue import CATALOGUE
from process_apis.intake.worker import resume
from process_apis.tables import LIVE_ITEM_STATES, time_entry, work_item

TIMED = tuple(sorted(kind.code for kind in CATALOGUE.values() if kind.retry == "TIMED"))


def due(connection: Connection, today: date, at: datetime) -> int:
    """Ask for another evaluation of everything TIMED; how many entries."""
    resume(connection)
    ended = (
        select(work_item.c.subject_id)
        .where(work_item.c.state == "WAIVED", work_item.c.waived_until < today)
        .where(work_item.c.subject_type == "time_entry")
    )
    waiting = select(work_item.c.subject_id).where(
        work_item.c.code.in_(TIMED),
        work_item.c.state.in_(LIVE_ITEM_STATES),
        work_item.c.subject_type == "time_entry",
    )
    asked = connection.execute(
        update(time_entry)
        .where(time_entry.c.entry_id.in_(ended.union(waiting)), ~time_entry.c.redrive)
        .values(redrive=True)
    ).rowcount
    connection.execute(
        update(work_item)
        .where(work_item.c.state == "WAIVED", work_item.c.waived_until < today)
        .values(state="RESOLVED", resolution="WAIVER", resolved_at=at)
    )
    return asked

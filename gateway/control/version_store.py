"""This file exists to keep how versions end, and to say who still calls which.

Owns   the statements on version_life. Synchronous; called inside a transaction.
Fails  NOT_FOUND for a version nobody knows; CONFLICT for head, which has no successor; INVALID
       for dates that do not fit together.
"""

from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection, func, insert, or_, select, update

from chassis import clock
from chassis.versions import changes, head, versions
from contracts.problem import Fault, Problem
from gateway import lifecycle
from gateway.control import audit, usage_store
from gateway.control.rows import Found, instant, invalid, maybe, ms
from gateway.control.tables import api_key, consumer, version_life
from gateway.control.version_shapes import (
    BrownoutSpan,
    VersionCaller,
    VersionDraft,
    VersionState,
    VersionView,
)
from gateway.lifecycle import Brownout, Life

REPORT_DAYS = 30
BROWNOUT_MOST = timedelta(hours=24)


def known(version: str, pointer: str, *, lives: tuple[Life, ...] = ()) -> None:
    """INVALID unless it is a version one may speak now."""
    now_s = clock.now().timestamp()
    ended = {life.version for life in lives if life.ended(now_s)}
    there = [each for each in versions() if each not in ended]
    if version not in there:
        raise invalid(pointer, f"is no version one may speak; there are {', '.join(there)}")


def lives(connection: Connection) -> tuple[Life, ...]:
    """For the snapshot; what is not told is left out, and so is a version no longer known."""
    rows = connection.execute(select(version_life).order_by(version_life.c.version))
    return tuple(
        _life(row) for row in rows if row.deprecated_ms is not None and row.version in versions()
    )


def put(connection: Connection, version: str, draft: VersionDraft, actor: str) -> VersionView:
    """Announce, change or take back how a version ends."""
    _there(version)
    if version == head():
        raise Problem(Fault.CONFLICT, f"{version} is the newest version: there is no successor.")
    before = _row(connection, version)
    values = {} if before is None else dict(before._mapping)
    told = {
        "deprecated_ms": _given(draft.deprecated_at, "/deprecated_at"),
        "sunset_ms": _given(draft.sunset_at, "/sunset_at"),
        "link": draft.link,
        "brownouts": _spans(draft.brownouts),
    }
    empty: dict[str, object] = {
        "deprecated_ms": None,
        "sunset_ms": None,
        "link": "",
        "brownouts": [],
    }
    values = empty | values | {k: v for k, v in told.items() if v is not UNSET}
    values["version"] = version
    _judge(values, before)
    seen = None if before is None else view_of(connection, version)
    if before is None:
        connection.execute(insert(version_life).values(**values))
    else:
        there = version_life.c.version == version
        connection.execute(update(version_life).where(there).values(**values))
    after = view_of(connection, version)
    audit.append(
        connection, actor=actor, action="version.set", subject=version, reason=draft.reason,
        before=_announced(seen), after=_announced(after),
    )  # fmt: skip
    return after


def view_of(connection: Connection, version: str) -> VersionView:
    """One version; NOT_FOUND."""
    _there(version)
    return next(view for view in views(connection) if view.version == version)


def views(connection: Connection) -> tuple[VersionView, ...]:
    """Every version, newest first."""
    rows = {row.version: row for row in connection.execute(select(version_life))}
    pins = _pins(connection)
    used: dict[str, list[VersionCaller]] = {}
    for caller in callers(connection):
        used.setdefault(caller.version, []).append(caller)
    found = []
    for version in reversed(versions()):
        life = _life(rows[version]) if version in rows else Life(version)
        calling = [caller for caller in used.get(version, []) if caller.requests]
        found.append(
            VersionView(
                version=version,
                state=_state(life),
                tells=tuple(change.tells for change in changes() if change.date == version),
                deprecated_at=_maybe_s(life.deprecated_s),
                sunset_at=_maybe_s(life.sunset_s),
                link=life.link,
                brownouts=tuple(
                    BrownoutSpan(instant(b.start_s * 1000), instant(b.end_s * 1000))
                    for b in life.brownouts
                ),
                keys=sum(number for (pinned, _), number in pins.items() if pinned == version),
                consumers=len(calling),
                requests=sum(caller.requests for caller in calling),
                last_at=max((c.last_at for c in calling if c.last_at), default=None),
            )
        )
    return tuple(found)


def callers(connection: Connection, version: str | None = None) -> tuple[VersionCaller, ...]:
    """Who still calls which, oldest version first; consumers that only hold a pinned key too."""
    now = clock.now()
    since = now - timedelta(days=REPORT_DAYS)
    used = {
        (use.version, use.consumer): use for use in usage_store.by_version(connection, since, now)
    }
    pins = _pins(connection)
    people = {row.name: row for row in connection.execute(select(consumer))}
    found = []
    for at in sorted(used.keys() | pins.keys()):
        if version is not None and at[0] != version:
            continue
        use, who = used.get(at), people.get(at[1])
        found.append(
            VersionCaller(
                version=at[0], consumer=at[1],
                owner=who.owner if who else "", contact=who.contact if who else "",
                keys=pins.get(at, 0), requests=use.requests if use else 0,
                last_at=use.last_at if use else None,
            )
        )  # fmt: skip
    return tuple(found)


def _pins(connection: Connection) -> dict[tuple[str, str], int]:
    """Active keys by version and consumer."""
    columns = api_key.c
    alive = or_(columns.expires_ms.is_(None), columns.expires_ms > ms(clock.now()))
    wanted = select(columns.version_pin, columns.consumer, func.count().label("keys"))
    wanted = wanted.where(columns.revoked_ms.is_(None), alive, columns.version_pin != "")
    wanted = wanted.group_by(columns.version_pin, columns.consumer)
    return {(row.version_pin, row.consumer): row.keys for row in connection.execute(wanted)}


def _judge(values: dict[str, object], before: Found | None) -> None:
    life = _life_of(values)
    try:
        lifecycle.check(life)
    except ValueError as error:
        pointer = "/brownouts" if "brownout" in str(error) else "/sunset_at"
        pointer = "/link" if "nowhere" in str(error) else pointer
        raise invalid(pointer, str(error)) from error
    if life.link and not life.link.startswith(("https://", "http://", "/")):
        raise invalid("/link", "is no address: https://..., or a path of ours")
    if any(letter in life.link for letter in '<>"\\ \r\n\t') or not life.link.isascii():
        raise invalid("/link", "holds a letter that an address cannot")
    moved = before is None or values["sunset_ms"] != before.sunset_ms
    if moved and life.sunset_s and life.sunset_s <= clock.now().timestamp():
        raise invalid("/sunset_at", "lies in the past")
    for index, each in enumerate(life.brownouts):
        if each.end_s - each.start_s > BROWNOUT_MOST.total_seconds():
            raise invalid(f"/brownouts/{index}", "is longer than a day; that is no rehearsal")


def _state(life: Life) -> VersionState:
    now_s = clock.now().timestamp()
    if life.version == head():
        return "head"
    if life.ended(now_s):
        return "ended"
    if life.brownout(now_s) is not None:
        return "brownout"
    return "deprecated" if life.deprecated_s else "current"


def _announced(view: VersionView | None) -> dict[str, object] | None:
    """What the audit keeps: the announcement, not the numbers of the day."""
    if view is None:
        return None
    kept = ("deprecated_at", "sunset_at", "link", "brownouts")
    return {name: msgspec.to_builtins(getattr(view, name)) for name in kept}


def _life(row: Found) -> Life:
    return _life_of(dict(row._mapping))


def _life_of(values: dict[str, object]) -> Life:
    plain = {
        "version": values["version"],
        "deprecated_s": _seconds(values["deprecated_ms"]),
        "sunset_s": _seconds(values["sunset_ms"]),
        "link": values["link"],
    }
    spans = msgspec.convert(values["brownouts"], tuple[tuple[int, int], ...])
    browned = tuple(Brownout(start // 1000, end // 1000) for start, end in spans)
    return msgspec.structs.replace(msgspec.convert(plain, Life), brownouts=browned)


def _seconds(at_ms: object) -> int:
    return 0 if at_ms is None else int(str(at_ms)) // 1000


def _given(at: object, pointer: str) -> object:
    if not isinstance(at, datetime):
        return at
    if at.tzinfo is None:
        raise invalid(pointer, "must name its offset, e.g. end with Z")
    return ms(at)


def _spans(told: object) -> object:
    if not isinstance(told, tuple):
        return told
    return [
        [_given(span.start, f"/brownouts/{i}/start"), _given(span.end, f"/brownouts/{i}/end")]
        for i, span in enumerate(sorted(told, key=lambda span: ms(span.start)))
    ]


def _maybe_s(at_s: int) -> datetime | None:
    return maybe(at_s * 1000 if at_s else None)


def _row(connection: Connection, version: str) -> Found | None:
    wanted = select(version_life).where(version_life.c.version == version)
    return connection.execute(wanted).one_or_none()


def _there(version: str) -> None:
    if version not in versions():
        raise Problem(Fault.NOT_FOUND, f"There is no version {version}.")

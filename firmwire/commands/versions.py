"""This file exists to end versions from the command line, and to see who still calls them.

Owns   the words on the terminal; the work is the control plane's.
Fails  with the problem the control plane answered, and a status of 1.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from firmwire.admin import JSON, REASON, at, group, print_json, run, table

versions = group("versions", "List versions, see who still calls one, and end it step by step.")


class Instant(click.ParamType[datetime]):
    """An instant with its offset, or a day, which begins at midnight UTC."""

    name = "instant"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no instant: 2027-03-01, or 2027-03-01T09:00:00Z", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


INSTANT = Instant()


@versions.command(name="list")
@JSON
@click.pass_obj
def list_(url: str | None, /, as_json: bool) -> None:
    """Every version, newest first, with its dates and its callers of the last 30 days."""
    _shown(run(url, lambda c: c.versions()), as_json)


@versions.command()
@click.argument("version", required=False)
@JSON
@click.pass_obj
def report(url: str | None, /, version: str | None, as_json: bool) -> None:
    """Who still calls what: by version and consumer, with whom to ask. VERSION: only that one."""
    found = run(url, lambda c: c.version_callers(version))
    if as_json:
        print_json(found)
        return
    table(
        ("version", "consumer", "requests", "last", "keys", "owner", "contact"),
        [
            (c.version, c.consumer, c.requests, at(c.last_at), c.keys, c.owner, c.contact)
            for c in found
        ],
        numbers=("requests", "keys"),
        empty="Nobody called a version in the last 30 days, and no key is pinned to one.",
    )


@versions.command()
@click.argument("version")
@click.option("--link", required=True, help="Where callers read what to do.")
@click.option("--at", "when", type=INSTANT, help="From when on; now unless told otherwise.")
@REASON
@JSON
@click.pass_obj
def deprecate(
    url: str | None, /, version: str, link: str, when: datetime | None, reason: str, as_json: bool
) -> None:
    """Announce that VERSION ends: every reply says so from now on."""
    from chassis import clock

    told = {"deprecated_at": when or clock.now(), "link": link, "reason": reason}
    _shown((run(url, lambda c: c.set_version(version, **told)),), as_json)


@versions.command()
@click.argument("version")
@click.argument("when", type=INSTANT)
@REASON
@JSON
@click.pass_obj
def sunset(url: str | None, /, version: str, when: datetime, reason: str, as_json: bool) -> None:
    """Say when VERSION ends: it answers 410 from WHEN on."""
    seen = run(url, lambda c: c.set_version(version, sunset_at=when, reason=reason))
    _shown((seen,), as_json)


@versions.command()
@click.argument("version")
@click.argument("start", type=INSTANT)
@click.option("--minutes", default=10, type=click.IntRange(1, 1440), show_default=True)
@click.option("--clear", is_flag=True, help="Take the others off the list first.")
@REASON
@JSON
@click.pass_obj
def brownout(
    url: str | None, /, version: str, start: datetime, minutes: int, clear: bool, **told: Any
) -> None:
    """Rehearse the end: VERSION answers 503 version_brownout from START, for some minutes."""
    from gateway.control.version_shapes import BrownoutSpan

    as_json = told.pop("as_json")
    span = BrownoutSpan(start, start + timedelta(minutes=minutes))

    async def work(control: Any) -> Any:
        before = () if clear else (await control.version(version)).brownouts
        spans = (*(each for each in before if each.start != start), span)
        return await control.set_version(version, brownouts=spans, **told)

    _shown((run(url, work),), as_json)


@versions.command()
@click.argument("version")
@REASON
@JSON
@click.pass_obj
def keep(url: str | None, /, version: str, reason: str, as_json: bool) -> None:
    """Take everything back that was announced about VERSION."""
    told: dict[str, Any] = {"deprecated_at": None, "sunset_at": None, "link": "", "brownouts": ()}
    seen = run(url, lambda c: c.set_version(version, **told, reason=reason))
    _shown((seen,), as_json)


def _shown(found: Any, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    table(
        ("version", "state", "deprecated", "sunset", "brownouts", "keys", "callers", "requests",
         "last", "changed"),
        [
            (
                v.version, v.state, at(v.deprecated_at, "-"), at(v.sunset_at, "-"),
                len(v.brownouts), v.keys, v.consumers, v.requests, at(v.last_at),
                " ".join(v.tells) or "the first publication",
            )
            for v in found
        ],
        numbers=("brownouts", "keys", "callers", "requests"),
        empty="There are no versions.",
    )  # fmt: skip

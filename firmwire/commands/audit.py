"""This file exists to read from the command line who changed what and why, and whether it is whole.

Owns   the words on the terminal; the work is the control plane's.
Fails  status 1 when the chain of entries is broken, or with the problem that was answered.
"""

import sys
from datetime import UTC, datetime
from typing import Any

import click

from firmwire.admin import CURSOR, JSON, LIMIT, at, group, more, print_json, run, table

audit = group("audit", "Read who changed what, and check that nobody changed the record.")
_DAY = click.DateTime(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"])


@audit.command(name="list")
@click.option("--actor", help="Who, exactly.")
@click.option("--action", help="What: `key.revoked`, or all of `key`.")
@click.option("--subject", help="To what, exactly: a key's id, a plan's name.")
@click.option("--search", help="In actor, subject and reason.")
@click.option("--since", type=_DAY, help="From this day, or moment, UTC.")
@click.option("--until", type=_DAY, help="Before this day, or moment, UTC.")
@LIMIT
@CURSOR
@JSON
@click.pass_obj
def list_(
    url: str | None,
    /,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Show changes, newest first."""
    spans = {
        "since": since and since.replace(tzinfo=UTC),
        "until": until and until.replace(tzinfo=UTC),
    }
    page = run(url, lambda c: c.audit(**asked, **spans))
    if as_json:
        print_json(page)
        return
    rows = [(e.seq, at(e.at), e.actor, e.action, e.subject, e.reason) for e in page.items]
    columns = ("no", "at (UTC)", "who", "did", "to", "why")
    table(columns, rows, empty="Nothing was changed like that.", numbers=("no",))
    more(page.next_cursor)


@audit.command()
@click.argument("number", type=int)
@click.pass_obj
def show(url: str | None, number: int) -> None:
    """One change, with what was before and after, as JSON."""
    page = run(url, lambda c: c.audit(limit=1, cursor=str(number + 1)))
    found = [entry for entry in page.items if entry.seq == number]
    if not found:
        click.echo(f"There is no entry {number}.", err=True)
        sys.exit(1)
    print_json(found[0])


@audit.command()
@JSON
@click.pass_obj
def verify(url: str | None, as_json: bool) -> None:
    """Check that every entry follows from the one before; status 1 when not."""
    broken_at = run(url, lambda c: c.audit_broken_at())
    if as_json:
        print_json({"broken_at": broken_at})
    elif broken_at is None:
        click.echo("The record is whole.")
    else:
        click.echo(f"The record is broken: entry {broken_at} does not follow from the one before.")
    sys.exit(0 if broken_at is None else 1)

"""This file exists to create, find, rotate, shorten and revoke API keys from the command line.

Owns   the words on the terminal; the work is the control plane's.
Fails  with the problem the control plane answered, and a status of 1.
"""

from datetime import timedelta
from typing import Any, Literal

import click

from firmwire.admin import CURSOR, JSON, LIMIT, REASON, at, group, more, print_json, run, table

keys = group("keys", "Create, find, rotate, shorten and revoke API keys.")
_COLUMNS = (
    "id", "consumer", "plan", "key", "state", "scopes", "version", "ends", "last used", "label",
)  # fmt: skip


@keys.command()
@click.argument("consumer")
@click.option("--plan", help="One its consumer subscribes to; a new one is made on it.")
@click.option("--scope", "scopes", multiple=True, help="May be repeated; none is all of the plan.")
@click.option("--test", "environment", flag_value="test", help="A test key, for sandboxes only.")
@click.option("--network", "networks", multiple=True, help="CIDR the key works from; repeatable.")
@click.option("--days", type=click.IntRange(1), help="Days until it expires.")
@click.option("--label", default="", help="A note to tell keys apart.")
@click.option("--version", help="What it speaks; the plan's or the newest unless told.")
@REASON
@JSON
@click.pass_obj
def create(
    url: str | None,
    consumer: str,
    plan: str | None,
    scopes: tuple[str, ...],
    environment: Literal["live", "test"] | None,
    networks: tuple[str, ...],
    days: int | None,
    label: str,
    version: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """Make a key for CONSUMER. It is shown once."""
    from chassis import clock

    async def work(control: Any) -> Any:
        if plan is not None:
            await _there(control, consumer, plan, reason)
        return await control.create_key(
            consumer,
            plan=plan or "",
            scopes=scopes,
            environment=environment or "live",
            networks=networks,
            expires_at=clock.now() + timedelta(days=days) if days else None,
            label=label,
            version=version,
            reason=reason,
        )

    _show_made(run(url, work), as_json)


@keys.command(name="list")
@click.option("--consumer", help="Only this consumer's.")
@click.option("--state", type=click.Choice(["active", "expired", "revoked"]), help="Only these.")
@LIMIT
@CURSOR
@JSON
@click.pass_obj
def list_(url: str | None, /, as_json: bool, **asked: Any) -> None:
    """Show keys, oldest first; never the key itself."""
    _listed(url, as_json, **asked)


@keys.command()
@click.argument("text")
@click.option("--state", type=click.Choice(["active", "expired", "revoked"]), help="Only these.")
@LIMIT
@CURSOR
@JSON
@click.pass_obj
def search(url: str | None, /, text: str, as_json: bool, **asked: Any) -> None:
    """Find keys by id, consumer, label, or the first letters of the key."""
    _listed(url, as_json, search=text, **asked)


@keys.command()
@click.argument("key_id")
@JSON
@click.pass_obj
def show(url: str | None, key_id: str, as_json: bool) -> None:
    """One key and what it did in the last day."""

    async def work(control: Any) -> Any:
        return await control.key(key_id), await control.usage(key=key_id)

    seen, hours = run(url, work)
    if as_json:
        print_json({"key": seen, "usage": hours})
        return
    _table((seen,))
    click.echo(
        f"Last 24 hours: {sum(h.requests for h in hours)} requests, "
        f"{sum(h.refused for h in hours)} refused, {sum(h.throttled for h in hours)} throttled, "
        f"{sum(h.failed for h in hours)} failed."
    )


@keys.command()
@click.argument("key_id")
@REASON
@JSON
@click.pass_obj
def revoke(url: str | None, key_id: str, reason: str, as_json: bool) -> None:
    """End a key now, on every data plane within a second."""
    _shown(run(url, lambda c: c.revoke_key(key_id, reason=reason)), as_json)


@keys.command()
@click.argument("key_id")
@click.option("--in-hours", type=click.FloatRange(0, min_open=True), help="Not now, but then.")
@REASON
@JSON
@click.pass_obj
def expire(
    url: str | None, key_id: str, in_hours: float | None, reason: str, as_json: bool
) -> None:
    """Bring a key's end closer: now, or in some hours. It never gets longer."""
    from chassis import clock

    ends = clock.now() + timedelta(hours=in_hours) if in_hours else None
    _shown(run(url, lambda c: c.expire_key(key_id, at=ends, reason=reason)), as_json)


@keys.command()
@click.argument("key_id")
@click.argument("version")
@REASON
@JSON
@click.pass_obj
def pin(url: str | None, key_id: str, version: str, reason: str, as_json: bool) -> None:
    """Let a key speak VERSION from now on; `plan` follows its plan."""
    wanted = "" if version == "plan" else version
    _shown(run(url, lambda c: c.pin_key(key_id, wanted, reason=reason)), as_json)


@keys.command()
@click.argument("key_id")
@click.option("--overlap-hours", default=24.0, show_default=True,
              type=click.FloatRange(0, 2160), help="How long both keys work.")  # fmt: skip
@REASON
@JSON
@click.pass_obj
def rotate(url: str | None, key_id: str, overlap_hours: float, reason: str, as_json: bool) -> None:
    """Make a successor with the same rights; the old key ends after the overlap."""
    overlap_s = int(overlap_hours * 3600)
    made = run(url, lambda c: c.rotate_key(key_id, overlap_s=overlap_s, reason=reason))
    _show_made(made, as_json)


@keys.command()
@click.argument("key_id")
@click.argument("method")
@click.argument("path")
@click.option("--client", default="", help="The address the call comes from.")
@click.option("--scope", default="", help="The one its tier asks for; see openapi/.")
@click.option("--version", default="", help="What its Firmwire-Version says.")
@JSON
@click.pass_obj
def why(
    url: str | None,
    key_id: str,
    method: str,
    path: str,
    client: str,
    scope: str,
    version: str,
    as_json: bool,
) -> None:
    """Why METHOD PATH would be turned away for a key; nothing is sent."""
    from gateway.control.explain import Asked

    asked = Asked(
        key_id=key_id, method=method, path=path, client=client, scope=scope, version=version
    )
    told = run(url, lambda c: c.why_denied(asked))
    if as_json:
        print_json(told)
        return
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    marks = {"yes": ("yes", "green"), "no": ("no", "bold red"), "unknown": ("?", "dim")}
    tree = Tree(Text(told.say))

    def grow(above: Tree, verdicts: Any) -> None:
        for verdict in verdicts:
            mark, style = marks[verdict.answer]
            line = Text.assemble((f"{mark} ", style), (f"{verdict.name}: ", "bold"), verdict.say)
            grow(above.add(line), verdict.below)

    grow(tree, told.verdicts)
    Console().print(tree)


async def _there(control: Any, consumer: str, plan: str, reason: str) -> None:
    """The consumer is made when there is none; to subscribe is a decision of its own."""
    from contracts.problem import Fault, Problem

    try:
        await control.consumer(consumer)
    except Problem as problem:
        if problem.fault is not Fault.NOT_FOUND:
            raise
        await control.set_consumer(consumer, plan, reason=reason)


def _listed(url: str | None, /, as_json: bool, **asked: Any) -> None:
    page = run(url, lambda c: c.keys(**asked))
    if as_json:
        print_json(page)
        return
    _table(page.items)
    more(page.next_cursor)


def _shown(seen: Any, as_json: bool) -> None:
    if as_json:
        print_json(seen)
    else:
        _table((seen,))


def _show_made(made: Any, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    # The key alone on standard output, so that it can be piped into a secret store.
    click.echo(made.secret)
    click.echo("Keep it now: it is not shown again.", err=True)
    _table((made.key,), to_error=True)


def _table(rows: tuple[Any, ...], *, to_error: bool = False) -> None:
    shown = [
        (row.id, row.consumer, row.plan or "default", f"{row.display}…", row.state,
         " ".join(row.scopes) or "all of the plan", row.version or "plan's",
         at(row.expires_at), at(row.last_used_at), row.label)
        for row in rows
    ]  # fmt: skip
    empty = "No such keys. Make one: firmwire keys create CONSUMER --plan PLAN"
    table(_COLUMNS, shown, empty=empty, to_error=to_error)

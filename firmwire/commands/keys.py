"""This file exists to create, list, rotate and revoke API keys from the command line.

Owns   the words on the terminal; the work is the control plane's.
Fails  with the problem the control plane answered, and a status of 1.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Literal, TypeVar

import click
import msgspec

from chassis import clock, settings
from contracts.problem import Problem

T = TypeVar("T")

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
_REASON = click.option("--reason", default="", help="Why, for the audit trail.")


@click.group()
@click.option("--url", envvar="FIRMWIRE_CONTROL_URL", help="Of the control plane; by default here.")
@click.pass_context
def keys(context: click.Context, url: str | None) -> None:
    """Create, list, rotate and revoke API keys.

    The admin token is FIRMWIRE_ADMIN_TOKEN, or the bootstrap secret in the home folder.
    """
    context.obj = url


@keys.command()
@click.argument("consumer")
@click.option("--plan", help="Make the consumer, or move it, to this plan: internal, partner, ...")
@click.option("--scope", "scopes", multiple=True, help="May be repeated; none is all of the plan.")
@click.option("--test", "environment", flag_value="test", help="A test key (fw_test_...).")
@click.option("--network", "networks", multiple=True, help="CIDR the key works from; repeatable.")
@click.option("--days", type=click.IntRange(1), help="Days until it expires.")
@click.option("--label", default="", help="A note to tell keys apart.")
@_REASON
@_JSON
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
    reason: str,
    as_json: bool,
) -> None:
    """Make a key for CONSUMER. It is shown once."""

    async def work(control: Any) -> Any:
        if plan is not None:
            await control.set_consumer(consumer, plan, reason=reason)
        return await control.create_key(
            consumer,
            scopes=scopes,
            environment=environment or "live",
            networks=networks,
            expires_at=clock.now() + timedelta(days=days) if days else None,
            label=label,
            reason=reason,
        )

    _show_made(_run(url, work), as_json)


@keys.command(name="list")
@click.option("--consumer", help="Only this consumer's.")
@click.option("--limit", default=50, type=click.IntRange(1, 200), show_default=True)
@click.option("--cursor", help="Go on from here.")
@_JSON
@click.pass_obj
def list_(
    url: str | None, consumer: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """Show keys, oldest first; never the key itself."""
    page = _run(url, lambda c: c.keys(consumer=consumer, limit=limit, cursor=cursor))
    if as_json:
        _print_json(page)
        return
    _table(page.items)
    if page.next_cursor:
        click.echo(f"More: --cursor {page.next_cursor}", err=True)


@keys.command()
@click.argument("key_id")
@_REASON
@_JSON
@click.pass_obj
def revoke(url: str | None, key_id: str, reason: str, as_json: bool) -> None:
    """End a key now, on every data plane within a second."""
    seen = _run(url, lambda c: c.revoke_key(key_id, reason=reason))
    if as_json:
        _print_json(seen)
    else:
        _table((seen,))


@keys.command()
@click.argument("key_id")
@click.option("--overlap-hours", default=24.0, show_default=True, help="How long both keys work.")
@_REASON
@_JSON
@click.pass_obj
def rotate(url: str | None, key_id: str, overlap_hours: float, reason: str, as_json: bool) -> None:
    """Make a successor with the same rights; the old key ends after the overlap."""
    overlap_s = int(overlap_hours * 3600)
    made = _run(url, lambda c: c.rotate_key(key_id, overlap_s=overlap_s, reason=reason))
    _show_made(made, as_json)


def _run(url: str | None, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    # Here, not above: `--help` must not wait for an HTTP client.
    from gateway.control.client import ControlClient, admin_token
    from gateway.settings import ControlSettings

    async def asked() -> T:
        if url is None:
            here = settings.load(ControlSettings, "control")
            address = f"http://{here.host}:{here.port}"
        else:
            address = url
        token = admin_token(settings.home(), os.environ.get("FIRMWIRE_ADMIN_TOKEN", ""))
        async with ControlClient(address, token) as control:
            return await work(control)

    try:
        return asyncio.run(asked())
    except Problem as problem:
        click.echo(f"{problem.fault.title}: {problem.say}", err=True)
        for wrong in problem.errors:
            click.echo(f"  {wrong.pointer}: {wrong.reason}. {wrong.hint}".rstrip(), err=True)
        sys.exit(1)
    except settings.BadSettings as bad:
        click.echo(str(bad), err=True)
        sys.exit(1)


def _show_made(made: Any, as_json: bool) -> None:
    if as_json:
        _print_json(made)
        return
    # The key alone on standard output, so that it can be piped into a secret store.
    click.echo(made.secret)
    click.echo("Keep it now: it is not shown again.", err=True)
    _table((made.key,), to_error=True)


def _print_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def _table(rows: tuple[Any, ...], *, to_error: bool = False) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for name in ("id", "consumer", "key", "state", "scopes", "expires", "label"):
        table.add_column(name, no_wrap=name in ("id", "key", "state"), overflow="fold")
    for row in rows:
        until = row.expires_at.strftime("%Y-%m-%d %H:%M") if row.expires_at else "never"
        scopes = " ".join(row.scopes) or "all of the plan"
        table.add_row(row.id, row.consumer, f"{row.display}…", row.state, scopes, until, row.label)
    Console(stderr=to_error).print(table)

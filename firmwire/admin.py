"""This file exists to be what every admin command shares: the call, the table, the plain error.

Owns   words on the terminal; the work is the control plane's.
Fails  with the problem the control plane answered, and a status of 1.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from contracts.problem import Problem

T = TypeVar("T")
LET_GO_S = 0.02

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
REASON = click.option("--reason", default="", help="Why, for the audit trail.")
LIMIT = click.option("--limit", default=50, type=click.IntRange(1, 200), show_default=True)
CURSOR = click.option("--cursor", help="Go on from here.")


def group(name: str, about: str) -> click.Group:
    """A command that has commands, and knows where the control plane is."""

    @click.option(
        "--url", envvar="FIRMWIRE_CONTROL_URL", help="Of the control plane; by default here."
    )
    @click.pass_context
    def begun(context: click.Context, url: str | None) -> None:
        context.obj = url

    token = "The admin token is FIRMWIRE_ADMIN_TOKEN, or the bootstrap secret in the home folder."
    return click.group(name, help=f"{about}\n\n{token}")(begun)


def run(url: str | None, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """Ask the control plane; ends the program with a plain line when it says no."""
    # Here, not above: `--help` must not wait for an HTTP client.
    from chassis import settings
    from contracts.problem import Problem
    from gateway.control.client import ControlClient, admin_token
    from gateway.settings import ControlSettings

    async def asked() -> T:
        if url is None:
            here = settings.load(ControlSettings, "control")
            address = f"http://{here.host}:{here.port}"
        else:
            address = url
        token = admin_token(settings.home(), os.environ.get("FIRMWIRE_ADMIN_TOKEN", ""))
        try:
            async with ControlClient(address, token) as control:
                return await work(control)
        finally:
            # A thread of the HTTP client lets go of Python a moment after it is closed; an
            # interpreter that ends before that is aborted, and the command's status lost.
            await asyncio.sleep(LET_GO_S)

    try:
        return asyncio.run(asked())
    except Problem as problem:
        refuse(problem)
    except settings.BadSettings as bad:
        click.echo(str(bad), err=True)
    sys.exit(1)


def refuse(problem: "Problem") -> None:
    """Say it, with every wrong field."""
    click.echo(f"{problem.fault.title}: {problem.say}", err=True)
    for wrong in problem.errors:
        click.echo(f"  {wrong.pointer}: {wrong.reason}. {wrong.hint}".rstrip(), err=True)


def print_json(value: Any) -> None:
    """For programs."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    empty: str,
    numbers: Sequence[str] = (),
    to_error: bool = False,
) -> None:
    """For people. empty: what to say, and what to do next, when there is nothing to show."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = [[Text(str(value)) for value in row] for row in rows]
    if not shown:
        click.echo(empty, err=True)
        return
    made = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in shown:
        made.add_row(*row)
    # A pipe has no width: then nothing is folded.
    console = Console(stderr=to_error)
    if not console.is_terminal:
        console = Console(stderr=to_error, width=240)
    console.print(made)


def more(cursor: str | None) -> None:
    """Where the next page begins."""
    if cursor:
        click.echo(f"More: --cursor {cursor}", err=True)


def at(when: datetime | None, missing: str = "never") -> str:
    """To the minute, UTC."""
    return when.strftime("%Y-%m-%d %H:%M") if when else missing

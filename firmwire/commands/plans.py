"""This file exists to keep plans from the command line: what a consumer may, and how much.

Owns   the words on the terminal; the work is the control plane's.
Fails  with the problem the control plane answered, and a status of 1.
"""

from pathlib import Path
from typing import Any

import click

from firmwire.admin import CURSOR, JSON, LIMIT, REASON, group, more, print_json, run, table

plans = group("plans", "List, show, make and remove plans: scopes and limits.")


@plans.command(name="list")
@LIMIT
@CURSOR
@JSON
@click.pass_obj
def list_(url: str | None, /, as_json: bool, **asked: Any) -> None:
    """Show plans by name."""
    page = run(url, lambda c: c.plans(**asked))
    if as_json:
        print_json(page)
        return
    _table(page.items)
    more(page.next_cursor)


@plans.command()
@click.argument("name")
@JSON
@click.pass_obj
def show(url: str | None, name: str, as_json: bool) -> None:
    """One plan."""
    seen = run(url, lambda c: c.plan(name))
    if as_json:
        print_json(seen)
    else:
        _table((seen,))


@plans.command(name="set")
@click.argument("name")
@click.option("--from", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A TOML file with scopes and limits, as below [plans.NAME].")  # fmt: skip
@click.option("--scope", "scopes", multiple=True, help="Instead of a file; may be repeated.")
@REASON
@JSON
@click.pass_obj
def set_(
    url: str | None,
    name: str,
    file: Path | None,
    scopes: tuple[str, ...],
    reason: str,
    as_json: bool,
) -> None:
    """Make or replace a plan. With --scope alone the limits it has stay as they are."""
    text = file.read_text() if file is not None else None
    seen = run(url, lambda c: _set(c, name, text, scopes, reason))
    if as_json:
        print_json(seen)
    else:
        _table((seen,))


@plans.command()
@click.argument("name")
@REASON
@click.pass_obj
def remove(url: str | None, name: str, reason: str) -> None:
    """Remove a plan that nobody is on."""
    run(url, lambda c: c.remove_plan(name, reason=reason))
    click.echo(f"The plan {name} is removed.")


async def _set(
    control: Any, name: str, text: str | None, scopes: tuple[str, ...], reason: str
) -> Any:
    import tomllib

    import msgspec

    from chassis import problems
    from contracts.problem import Fault, Problem
    from gateway.control.shapes import PlanDraft

    told: dict[str, Any] = {}
    if text is not None:
        try:
            told = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise Problem(Fault.MALFORMED, f"The file is not TOML: {error}") from error
    else:
        try:
            before = msgspec.to_builtins(await control.plan(name))
            told = {key: value for key, value in before.items() if key != "name"}
        except Problem as problem:
            if problem.fault is not Fault.NOT_FOUND:
                raise
    told |= {"reason": reason} | ({"scopes": scopes} if scopes else {})
    if errors := problems.field_errors(told, PlanDraft):
        raise problems.invalid(*errors)
    return await control.set_plan(name, msgspec.convert(told, PlanDraft))


def _table(rows: Any) -> None:
    from gateway.control.limit_words import said

    shown = [
        (
            row.name,
            " ".join(row.scopes),
            "; ".join(f"{limit.name}: {said(limit)}" for limit in row.limits)
            or "those of the routes",
        )
        for row in rows
    ]
    empty = "No plans. Make one: firmwire plans set NAME --scope process:billing:read"
    table(("plan", "scopes", "limits"), shown, empty=empty)

"""This file exists to bring the gateway to the state that files describe, or to say what it is.

Owns   the words on the terminal; the comparing and the doing are the control plane's.
Fails  status 1, with file and line of what is wrong; the state in force stays, whole. `plan` and
       `diff` end with status 2 when something would change.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firmwire.admin import JSON, REASON, group, print_json, run

if TYPE_CHECKING:
    from firmwire.state_files import StateFiles

gateway = group(
    "gateway",
    "Plans, consumers, routes, upstreams and hosts as TOML files: see what would change, do it.",
)
_FILES = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
_PRUNE = click.option(
    "--prune", is_flag=True, help="Remove plans and consumers that no file names."
)
_SIGNS = {"added": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red")}


@gateway.command()
@_FILES
@_PRUNE
@JSON
@click.pass_obj
def plan(url: str | None, files: tuple[Path, ...], prune: bool, as_json: bool) -> None:
    """What applying FILES would change: done in full, checked, and rolled back."""
    told = _asked(url, files, prune, "", lambda c, wanted: c.plan_state(wanted))
    if as_json:
        print_json(told)
    else:
        for change in told.changes:
            _headline(change)
        _sum(told.changes, "to do")
    sys.exit(2 if told.changes else 0)


@gateway.command()
@_FILES
@_PRUNE
@click.pass_obj
def diff(url: str | None, files: tuple[Path, ...], prune: bool) -> None:
    """The same field by field: what is in force, what FILES say."""
    told = _asked(url, files, prune, "", lambda c, wanted: c.plan_state(wanted))
    for change in told.changes:
        _headline(change)
        for name in sorted(change.before.keys() | change.after.keys()):
            before, after = change.before.get(name), change.after.get(name)
            if before == after:
                continue
            if before not in (None, "", [], {}):
                click.secho(f"    - {name} = {_said(before)}", fg="red")
            if after not in (None, "", [], {}):
                click.secho(f"    + {name} = {_said(after)}", fg="green")
    _sum(told.changes, "to do")
    sys.exit(2 if told.changes else 0)


@gateway.command()
@_FILES
@_PRUNE
@REASON
@JSON
@click.pass_obj
def apply(
    url: str | None, files: tuple[Path, ...], prune: bool, reason: str, as_json: bool
) -> None:
    """Make it so, all of it or nothing. A second time changes nothing."""
    told = _asked(url, files, prune, reason, lambda c, wanted: c.apply_state(wanted))
    if as_json:
        print_json(told)
        return
    for change in told.changes:
        _headline(change)
    _sum(told.changes, f"done; snapshot {told.version} is in force")


@gateway.command()
@click.pass_obj
def export(url: str | None) -> None:
    """What is in force, as a file that `apply` takes."""
    import msgspec

    from firmwire.state_files import toml

    state = run(url, lambda c: c.state())
    click.echo(toml(msgspec.to_builtins(state)), nl=False)


def _asked(
    url: str | None,
    files: tuple[Path, ...],
    prune: bool,
    reason: str,
    ask: Callable[[Any, Any], Any],
) -> Any:
    """Read, send, and put file and line to what comes back."""
    from firmwire.state_files import BadFiles, StateFiles

    try:
        read = StateFiles(files)
    except BadFiles as bad:
        _refused(bad.lines)

    async def work(control: Any) -> Any:
        import msgspec

        from chassis.problems import field_errors
        from contracts.problem import Problem
        from gateway.control.state import State, Wanted

        if errors := field_errors(read.state, State):
            return _placed(read, errors)
        state = msgspec.convert(read.state, State)
        try:
            return await ask(control, Wanted(state=state, prune=prune, reason=reason))
        except Problem as problem:
            if not problem.errors:
                raise
            return _placed(read, problem.errors)

    told = run(url, work)
    if isinstance(told, list):
        _refused(told)
    return told


def _placed(read: "StateFiles", errors: Any) -> list[str]:
    """`file:line: what` for each."""
    return [
        f"{read.where(error.pointer) or 'files'}: "
        f"{error.pointer.strip('/').replace('/', '.')}: {error.reason}. {error.hint}".rstrip()
        for error in errors
    ]


def _refused(lines: Any) -> None:
    for line in lines:
        click.echo(line, err=True)
    click.echo("Refused; what is in force stays.", err=True)
    sys.exit(1)


def _headline(change: Any) -> None:
    sign, colour = _SIGNS[change.verb]
    what = change.kind if change.kind == change.name else f"{change.kind} {change.name}"
    click.secho(f"{sign} {what}", fg=colour)


def _sum(changes: Any, after: str) -> None:
    if not changes:
        click.echo("Nothing to do: it is so already.")
        return
    counts = {verb: sum(change.verb == verb for change in changes) for verb in _SIGNS}
    told = ", ".join(f"{number} {verb}" for verb, number in counts.items() if number)
    click.echo(f"{told}: {after}.")


def _said(value: Any) -> str:
    from firmwire.state_files import as_toml

    return as_toml(value)

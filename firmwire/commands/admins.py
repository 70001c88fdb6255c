"""This file exists to keep the people who may sign in, from the command line.

Owns   the words on the terminal; the work is the control plane's.
Fails  with the problem the control plane answered, and a status of 1.
"""

from typing import Any

import click

from firmwire.admin import CURSOR, JSON, LIMIT, REASON, at, group, more, print_json, run, table

admins = group("admins", "Create, list and disable people who sign in: admins, and users.")
_COLUMNS = ("name", "role", "signs in by", "created", "last seen", "state")
_ROLES = ("admin", "operator", "auditor", "support", "user")


@admins.command()
@click.argument("name")
@click.option("--role", type=click.Choice(_ROLES), required=True, help="What they may.")
@click.option("--subject", default="", help="Their `sub`, or verified e-mail, at the provider.")
@REASON
@JSON
@click.pass_obj
def create(url: str | None, name: str, role: str, subject: str, reason: str, as_json: bool) -> None:
    """Make somebody. Without --subject a password is made, and shown once."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls
        from gateway.identity.people import PersonDraft

        draft = PersonDraft(name=name, role=role, subject=subject, reason=reason)  # type: ignore[arg-type]
        return await identity_calls.create_admin(control, draft)

    _show_made(run(url, work), as_json)


@admins.command()
@click.argument("name")
@REASON
@JSON
@click.pass_obj
def password(url: str | None, name: str, reason: str, as_json: bool) -> None:
    """Make a new password, shown once; every session of theirs ends."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls

        return await identity_calls.set_password(control, name, reason=reason)

    _show_made(run(url, work), as_json)


@admins.command()
@click.argument("name")
@click.argument("role", type=click.Choice(_ROLES))
@REASON
@click.pass_obj
def role(url: str | None, name: str, role: str, reason: str) -> None:
    """Give somebody another role, from their next request on."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls

        return await identity_calls.set_role(control, name, role, reason=reason)  # type: ignore[arg-type]

    _table((run(url, work),))


@admins.command()
@click.argument("name")
@REASON
@click.pass_obj
def disable(url: str | None, name: str, reason: str) -> None:
    """Sign somebody out everywhere, for good."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls

        return await identity_calls.disable_admin(control, name, reason=reason)

    _table((run(url, work),))


@admins.command(name="list")
@LIMIT
@CURSOR
@JSON
@click.pass_obj
def list_(url: str | None, /, as_json: bool, **asked: Any) -> None:
    """Show people by name."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls

        return await identity_calls.admins(control, **asked)

    page = run(url, work)
    if as_json:
        print_json(page)
        return
    _table(page.items)
    more(page.next_cursor)


def _show_made(made: Any, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    if made.password:
        click.echo(made.password)
        click.echo("Keep it now: it is not shown again.", err=True)
    _table((made.person,), to_error=bool(made.password))


def _table(rows: Any, *, to_error: bool = False) -> None:
    shown = [
        (
            p.name, p.role, p.subject or "password", at(p.created_at), at(p.seen_at),
            f"disabled {at(p.disabled_at)}" if p.disabled_at else "active",
        )
        for p in rows
    ]  # fmt: skip
    empty = "Nobody. Make somebody: firmwire admins create NAME --role operator"
    table(_COLUMNS, shown, empty=empty, to_error=to_error)

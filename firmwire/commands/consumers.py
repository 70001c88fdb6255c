"""This file exists to keep consumers from the command line: who calls, and on which plans.

Owns   the words on the terminal; the work is the control plane's.
Fails  with the problem the control plane answered, and a status of 1.
"""

from typing import Any

import click

from firmwire.admin import CURSOR, JSON, LIMIT, REASON, group, more, print_json, run, table

consumers = group("consumers", "List, find, make and remove consumers: who calls the APIs.")
_COLUMNS = ("consumer", "plans", "owner", "contact", "tenant")


@consumers.command(name="list")
@click.option("--plan", help="Only those on it.")
@LIMIT
@CURSOR
@JSON
@click.pass_obj
def list_(url: str | None, /, as_json: bool, **asked: Any) -> None:
    """Show consumers by name."""
    _listed(url, as_json, **asked)


@consumers.command()
@click.argument("text")
@LIMIT
@CURSOR
@JSON
@click.pass_obj
def search(url: str | None, /, text: str, as_json: bool, **asked: Any) -> None:
    """Find consumers by name, owner, contact or tenant."""
    _listed(url, as_json, search=text, **asked)


@consumers.command()
@click.argument("name")
@JSON
@click.pass_obj
def show(url: str | None, name: str, as_json: bool) -> None:
    """One consumer, its keys that work, and what it did in the last day."""

    async def work(control: Any) -> Any:
        return (
            await control.consumer(name),
            await control.keys(consumer=name, state="active"),
            await control.usage(consumer=name),
        )

    seen, keys, hours = run(url, work)
    if as_json:
        print_json({"consumer": seen, "keys": keys.items, "usage": hours})
        return
    _table((seen,))
    click.echo(f"Keys that work: {', '.join(key.id for key in keys.items) or 'none'}")
    asked, throttled = sum(h.requests for h in hours), sum(h.throttled for h in hours)
    click.echo(f"Last 24 hours: {asked} requests, {throttled} throttled.")


@consumers.command(name="set")
@click.argument("name")
@click.option("--plan", "plans", multiple=True, help="What it may and how much; needed for a new "
              "one. Repeatable: the first is for keys that name none.")  # fmt: skip
@click.option("--owner", help="Who answers for it.")
@click.option("--contact", help="How to reach them.")
@click.option("--tenant", help="The client or office it is.")
@REASON
@JSON
@click.pass_obj
def set_(url: str | None, /, name: str, plans: tuple[str, ...], as_json: bool, **told: Any) -> None:
    """Make a consumer, or change what is told of it; the rest stays."""

    async def work(control: Any) -> Any:
        on = dict.fromkeys(plans) or (await control.consumer(name)).plans
        return await control.set_consumer(name, *on, **told)

    _shown(run(url, work), as_json)


@consumers.command()
@click.argument("name")
@click.argument("plan")
@REASON
@JSON
@click.pass_obj
def subscribe(url: str | None, name: str, plan: str, reason: str, as_json: bool) -> None:
    """Let NAME have keys for PLAN as well; its first plan stays the default."""
    _shown(run(url, lambda c: c.subscribe(name, plan, reason=reason)), as_json)


@consumers.command()
@click.argument("name")
@click.argument("plan")
@REASON
@JSON
@click.pass_obj
def unsubscribe(url: str | None, name: str, plan: str, reason: str, as_json: bool) -> None:
    """Take PLAN from NAME; refused while a key, a client or an issuer is for it."""
    _shown(run(url, lambda c: c.unsubscribe(name, plan, reason=reason)), as_json)


@consumers.command()
@click.argument("name")
@REASON
@click.pass_obj
def remove(url: str | None, name: str, reason: str) -> None:
    """Remove a consumer that never had a key; otherwise revoke its keys."""
    run(url, lambda c: c.remove_consumer(name, reason=reason))
    click.echo(f"{name} is removed.")


def _listed(url: str | None, /, as_json: bool, **asked: Any) -> None:
    page = run(url, lambda c: c.consumers(**asked))
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


def _table(rows: Any) -> None:
    empty = "No such consumers. Make one: firmwire consumers set NAME --plan PLAN"
    shown = [(c.name, " ".join(c.plans), c.owner, c.contact, c.tenant) for c in rows]
    table(_COLUMNS, shown, empty=empty)

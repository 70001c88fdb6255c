"""This file exists to keep the list of trusted issuers from the command line.

Owns   the words on the terminal; the work is the control plane's.
Fails  with the problem the control plane answered, and a status of 1.
"""

from typing import Any

import click

from firmwire.admin import JSON, REASON, at, group, print_json, run, table

issuers = group("issuers", "Add, list and remove issuers whose access tokens count here.")
_COLUMNS = ("issuer", "audience", "as consumer", "plan", "scopes", "types", "keys", "fetched")


@issuers.command()
@click.argument("issuer")
@click.option("--audience", required=True, help="What its tokens must be meant for.")
@click.option("--consumer", required=True, help="As whom its tokens come.")
@click.option("--plan", default="", help="One its consumer subscribes to; else the default.")
@click.option("--jwks", help="Address of its keys; by default found by discovery.")
@click.option("--scope", "scopes", multiple=True, help="At most these; none is all of the plan.")
@click.option("--type", "types", multiple=True, default=("at+jwt",), show_default=True,
              help="`typ` of its tokens; many issuers say jwt.")  # fmt: skip
@REASON
@JSON
@click.pass_obj
def add(url: str | None, /, issuer: str, as_json: bool, **told: Any) -> None:
    """Trust ISSUER, or change what is told of it. Its keys are fetched first."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls
        from gateway.identity.issuers import IssuerDraft

        draft = IssuerDraft(
            issuer=issuer, audience=told["audience"], consumer=told["consumer"],
            jwks_uri=told["jwks"], scopes=told["scopes"], types=told["types"],
            plan=told["plan"], reason=told["reason"],
        )  # fmt: skip
        return await identity_calls.set_issuer(control, draft)

    seen = run(url, work)
    if as_json:
        print_json(seen)
    else:
        _table((seen,))


@issuers.command(name="list")
@JSON
@click.pass_obj
def list_(url: str | None, as_json: bool) -> None:
    """Show whom we trust, and by which keys."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls

        return await identity_calls.issuers(control)

    page = run(url, work)
    if as_json:
        print_json(page)
    else:
        _table(page.items)


@issuers.command()
@click.argument("issuer")
@JSON
@click.pass_obj
def refresh(url: str | None, issuer: str, as_json: bool) -> None:
    """Ask ISSUER for its keys now, instead of within five minutes."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls

        return await identity_calls.refresh_issuer(control, issuer)

    seen = run(url, work)
    if as_json:
        print_json(seen)
    else:
        _table((seen,))


@issuers.command()
@click.argument("issuer")
@REASON
@click.pass_obj
def remove(url: str | None, issuer: str, reason: str) -> None:
    """Trust ISSUER no more; its tokens are dead within a second."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls

        return await identity_calls.remove_issuer(control, issuer, reason=reason)

    run(url, work)
    click.echo(f"{issuer} is removed.")


def _table(rows: Any) -> None:
    shown = [
        (
            i.issuer, i.audience, i.consumer, i.plan or "default",
            " ".join(i.scopes) or "all of the plan", " ".join(i.types), " ".join(i.keys),
            at(i.fetched_at),
        )
        for i in rows
    ]  # fmt: skip
    table(_COLUMNS, shown, empty="No issuers besides our own.")

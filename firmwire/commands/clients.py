"""This file exists to keep the authorization server's clients from the command line.

Owns   the words on the terminal; the work is the control plane's.
Fails  with the problem the control plane answered, and a status of 1.
"""

import json
from pathlib import Path
from typing import Any

import click

from firmwire.admin import CURSOR, JSON, LIMIT, REASON, at, group, more, print_json, run, table

clients = group("clients", "Create, list and revoke OAuth clients: what gets access tokens.")
_COLUMNS = (
    "client", "consumer", "plan", "name", "proves itself by", "grants", "scopes", "bound", "state",
)  # fmt: skip
_METHODS = {
    "basic": "client_secret_basic", "post": "client_secret_post", "key": "private_key_jwt",
    "certificate": "self_signed_tls_client_auth", "name": "tls_client_auth", "none": "none",
}  # fmt: skip
_GRANTS = {"client": "client_credentials", "person": "authorization_code"}


@clients.command()
@click.argument("consumer")
@click.option("--name", default="", help="What people see when they are asked for consent.")
@click.option("--by", type=click.Choice(list(_METHODS)), default="basic", show_default=True,
              help="How it proves itself.")  # fmt: skip
@click.option("--for", "acts", type=click.Choice([*_GRANTS, "both"]), default="client",
              show_default=True, help="For itself, or people who sign in.")  # fmt: skip
@click.option("--redirect", "redirects", multiple=True, help="Where people are sent back to.")
@click.option("--plan", default="", help="One its consumer subscribes to; else the default.")
@click.option("--scope", "scopes", multiple=True, help="May be repeated; none is all of the plan.")
@click.option("--jwks", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="File with its public keys, for --by key.")  # fmt: skip
@click.option("--thumbprint", default="", help="SHA-256 of its certificate, base64url.")
@click.option(
    "--subject",
    default="",
    help="What its certificate calls itself, for --by name: dn:..., dns:... or uri:...",
)
@click.option("--bound", type=click.Choice(["mtls", "dpop"]), help="What its tokens are bound to.")
@REASON
@JSON
@click.pass_obj
def create(url: str | None, /, consumer: str, as_json: bool, **told: Any) -> None:
    """Make a client of CONSUMER. Its secret is shown once."""
    jwks = told["jwks"]
    keys = json.loads(jwks.read_text())["keys"] if jwks is not None else []
    acts = list(_GRANTS) if told["acts"] == "both" else [told["acts"]]
    grants = [_GRANTS[act] for act in acts]
    if "authorization_code" in grants:
        grants.append("refresh_token")

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls
        from gateway.identity.clients import ClientDraft

        draft = ClientDraft(
            consumer=consumer, name=told["name"], method=_METHODS[told["by"]],  # type: ignore[arg-type]
            grants=tuple(grants), redirect_uris=told["redirects"], scopes=told["scopes"],  # type: ignore[arg-type]
            keys=tuple(keys), certificate=told["thumbprint"],
            subject=told["subject"], bound=told["bound"] or "",
            plan=told["plan"], reason=told["reason"],
        )  # fmt: skip
        return await identity_calls.create_client(control, draft)

    _show_made(run(url, work), as_json)


@clients.command()
@click.argument("client_id")
@REASON
@JSON
@click.pass_obj
def rotate(url: str | None, client_id: str, reason: str, as_json: bool) -> None:
    """Make another secret, shown once; the old one is dead at once."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls

        return await identity_calls.rotate_client(control, client_id, reason=reason)

    _show_made(run(url, work), as_json)


@clients.command(name="list")
@click.option("--consumer", help="Only this consumer's.")
@LIMIT
@CURSOR
@JSON
@click.pass_obj
def list_(url: str | None, /, as_json: bool, **asked: Any) -> None:
    """Show clients, oldest first; never a secret."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls

        return await identity_calls.clients(control, **asked)

    page = run(url, work)
    if as_json:
        print_json(page)
        return
    _table(page.items)
    more(page.next_cursor)


@clients.command()
@click.argument("client_id")
@REASON
@JSON
@click.pass_obj
def revoke(url: str | None, client_id: str, reason: str, as_json: bool) -> None:
    """End a client now, and every token it has."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls

        return await identity_calls.revoke_client(control, client_id, reason=reason)

    seen = run(url, work)
    if as_json:
        print_json(seen)
    else:
        _table((seen,))


def _show_made(made: Any, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    if made.secret:
        # The secret alone on standard output, so that it can be piped into a secret store.
        click.echo(made.secret)
        click.echo("Keep it now: it is not shown again.", err=True)
    _table((made.client,), to_error=bool(made.secret))


def _table(rows: Any, *, to_error: bool = False) -> None:
    shown = [
        (
            c.id, c.consumer, c.plan or "default", c.name, c.method, " ".join(c.grants),
            " ".join(c.scopes) or "all of the plan", c.bound or "-",
            f"revoked {at(c.revoked_at)}" if c.revoked_at else "active",
        )
        for c in rows
    ]  # fmt: skip
    empty = "No clients. Make one: firmwire clients create CONSUMER"
    table(_COLUMNS, shown, empty=empty, to_error=to_error)

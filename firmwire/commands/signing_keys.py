"""This file exists to change the key that signs access tokens, from the command line.

Owns   the words on the terminal; the work is the control plane's.
Fails  with the problem the control plane answered, and a status of 1.
"""

from datetime import UTC, datetime
from typing import Any

import click

from firmwire.admin import JSON, REASON, at, group, print_json, run, table

signing_keys = group("signing-keys", "List and rotate the keys that sign access tokens.")


@signing_keys.command()
@REASON
@JSON
@click.pass_obj
def rotate(url: str | None, reason: str, as_json: bool) -> None:
    """Sign with a new key from now on; the old one is published until its tokens are over."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls

        return await identity_calls.rotate_signing_key(control, reason=reason)

    made = run(url, work)
    if as_json:
        print_json(made)
    else:
        _table((made,))


@signing_keys.command(name="list")
@JSON
@click.pass_obj
def list_(url: str | None, as_json: bool) -> None:
    """Show keys, youngest first."""

    async def work(control: Any) -> Any:
        from gateway.control import identity_calls

        return await identity_calls.signing_keys(control)

    page = run(url, work)
    if as_json:
        print_json(page)
    else:
        _table(page.items)


def _table(rows: Any) -> None:
    shown = [(k.kid, _at(k.created_ms), _at(k.retired_ms)) for k in rows]
    table(("key", "created", "retired"), shown, empty="No keys.")


def _at(ms: int | None) -> str:
    return at(datetime.fromtimestamp(ms / 1000, UTC) if ms is not None else None, "signs now")

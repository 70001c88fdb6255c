"""This file exists to make the secrets a deployment needs before its first process starts.

Owns   the words on the terminal, and the refusal to touch what is there. The files are made by the
       rooms that read them.
Fails  status 1, with nothing made, when the folder has any of them.
"""

import sys
from pathlib import Path

import click

FILES = {
    "identity.jwks.json": "public keys of every issuer; all tiers and the control plane read it",
    "identity/gateway.key.json": "private; both planes of the gateway",
    "identity/process.key.json": "private; only the process tier",
    "identity/experience.key.json": "private; only the experience tier",
    "identity/firmwire.key.json": "private; only the command line",
    "gateway/peppers.json": "private; both planes of the gateway; without it every API key is dead",
    "gateway/data-plane.token": "private; both planes of the gateway",
}


@click.group()
def identity() -> None:
    """Keys, peppers and tokens by which the processes of one installation know each other."""


@identity.command()
@click.option("--home", type=click.Path(path_type=Path), help="Folder to make them in.")
def init(home: Path | None) -> None:
    """Make all of them, in a folder that has none. No secret is shown, only where it lies."""
    from chassis import identity as issuers
    from chassis import settings
    from gateway import keys, tokens

    place = (home or settings.home()).absolute()
    if there := [name for name in FILES if (place / name).exists()]:
        click.echo(f"{place} has {', '.join(there)} already. Nothing was made.", err=True)
        click.echo("New ones would lock out all who rely on these. Choose another.", err=True)
        sys.exit(1)
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        issuers.ensure(place)
        keys.peppers(place)
        tokens.data_plane(place)
    except OSError as error:
        click.echo(f"{place} cannot be written: {error}", err=True)
        sys.exit(1)
    for name, means in FILES.items():
        click.echo(f"{place / name}: {means}")

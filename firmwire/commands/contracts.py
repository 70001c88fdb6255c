"""This file exists to write the generated documents, or to say which of them are out of date.

Owns   nothing.
Fails  status 1 with --check when a checked-in file is not what the code generates.
"""

import sys
from pathlib import Path

import click


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail when a file is out of date.")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), default=Path(),
              help="The repository, by default this folder.")  # fmt: skip
def contracts(check: bool, into: Path) -> None:
    """Write openapi/*.json and docs/exceptions.md from the code."""
    from firmwire.documents import generated

    stale = []
    for path, body in generated().items():
        file = into / path
        if file.exists() and file.read_bytes() == body:
            continue
        stale.append(str(path))
        if not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
    for name in stale:
        click.echo(f"{'out of date' if check else 'written'}: {name}")
    if not stale:
        click.echo("nothing to write: all generated files are up to date")
    sys.exit(1 if check and stale else 0)

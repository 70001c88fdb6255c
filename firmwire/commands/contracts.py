"""This file exists to write the generated documents, to freeze versions, and to be the gate.

Owns   the words on the terminal; firmwire.freezing knows what must hold.
Fails  status 1 with --check when a checked-in file is not what the code generates; always when
       a published document was altered or an older caller would break.
"""

import json
import sys
from pathlib import Path

import click


@click.group(invoke_without_command=True)
@click.option("--check", is_flag=True, help="Write nothing; fail when a file is out of date.")
@click.option("--publish", is_flag=True, help="Freeze the documents of a version just begun.")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), default=Path(),
              help="The repository, by default this folder.")  # fmt: skip
@click.pass_context
def contracts(context: click.Context, check: bool, publish: bool, into: Path) -> None:
    """Write openapi/ and the generated pages of docs/; refuse what breaks callers."""
    context.obj = into
    if context.invoked_subcommand is not None:
        return
    from firmwire import freezing

    stale = _written(into, check)
    if publish and not check:
        for name in freezing.publish(into):
            click.echo(f"published, for good: openapi/{name}")
    found = freezing.findings(into)
    for line in found:
        click.echo(line, err=True)
    if not stale:
        click.echo("nothing to write: all generated files are up to date")
    if found:
        click.echo("A break needs a dated change: CONTRIBUTING.md, `An API change`.", err=True)
    sys.exit(1 if found or (check and stale) else 0)


@contracts.command()
@click.option("--tier", default="process", show_default=True,
              type=click.Choice(("system", "process", "experience")))  # fmt: skip
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def diff(into: Path, tier: str, old: str | None, new: str | None, as_json: bool) -> None:
    """What a caller notices between two versions: OLD (the newest) and NEW (the code)."""
    from firmwire import freezing
    from firmwire.contract_diff import differences
    from firmwire.documents import described

    old = old or freezing.published(into, tier)[-1]
    try:
        before = freezing.read(into, tier, old)
        after = freezing.read(into, tier, new) if new else json.loads(described(tier))
    except FileNotFoundError as missing:
        known = ", ".join(freezing.published(into, tier))
        raise click.UsageError(f"No such version of {tier}; known: {known}.") from missing
    found = differences(before, after)
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        for each in found:
            click.echo(str(each))
        click.echo(f"{len(found)} differences, {sum(d.breaking for d in found)} breaking")
    sys.exit(1 if any(each.breaking for each in found) else 0)


def _written(into: Path, check: bool) -> list[str]:
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
    return stale

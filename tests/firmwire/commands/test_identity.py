"""Secrets made ahead of a deployment: complete, private, never shown, never replaced."""

import stat
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from chassis import identity
from chassis.identity import Signer, Verifier
from firmwire.commands.identity import FILES
from firmwire.commands.identity import identity as command


def init(home: Path) -> Result:
    return CliRunner().invoke(command, ["init", "--home", str(home)])


def content(home: Path) -> dict[str, bytes]:
    return {str(f.relative_to(home)): f.read_bytes() for f in home.rglob("*") if f.is_file()}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    assert init(home).exit_code == 0
    return home


def test_all_a_deployment_needs_is_made(made: Path):
    """Exactly these, and the tiers trust each other by them."""
    assert set(content(made)) - {"identity/.lock"} == set(FILES)
    verifier = Verifier(identity.jwks_file(made))
    for issuer in identity.ISSUERS:
        assertion = Signer.of(made, issuer).assertion("somebody", ["a:b"])
        assert verifier.principal(assertion).issuer == issuer


def test_only_the_owner_reads_the_secrets(made: Path):
    """0600 each, but for the public keys."""
    private = {name for name in FILES if name != "identity.jwks.json"}
    open_ones = {n for n in private if stat.S_IMODE((made / n).stat().st_mode) != 0o600}
    assert open_ones == set()


def test_paths_are_printed_and_no_secret(tmp_path: Path):
    """A build log may keep what is on the terminal."""
    home = tmp_path / "home"
    printed = init(home).output
    assert all(str(home / name) in printed for name in FILES)
    secrets = [(home / "gateway" / "data-plane.token").read_text().strip()]
    peppers = msgspec.json.decode((home / "gateway" / "peppers.json").read_bytes())
    secrets += peppers["secrets"].values()
    secrets += [
        msgspec.json.decode(file.read_bytes())["d"]
        for file in (home / "identity").glob("*.key.json")
    ]
    assert len(secrets) == 2 + len(identity.ISSUERS)
    assert [secret for secret in secrets if secret in printed] == []


@pytest.mark.parametrize("left", sorted(FILES))
def test_what_is_there_is_never_replaced(made: Path, left: str):
    """Even one of them: new peppers would end every API key."""
    for name in set(FILES) - {left}:
        (made / name).unlink()
    before = content(made)
    again = init(made)
    assert (again.exit_code, content(made)) == (1, before)
    assert left in again.output

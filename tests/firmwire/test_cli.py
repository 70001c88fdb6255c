"""The command line's front door: quick, complete, and clear when something is wrong."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from firmwire.cli import COMMANDS, main

HEAVY = (
    "alembic", "authlib", "dbos", "httpx", "joserfc", "jinja2", "litestar", "msgspec",
    "prometheus_client", "psycopg", "rich", "sqlalchemy", "starlette", "structlog", "uvicorn",
)  # fmt: skip


def loaded(*words: str) -> set[str]:
    """The heavy modules a fresh interpreter holds after this command line."""
    program = (
        "import sys\n"
        f"sys.argv = ['firmwire', *{list(words)!r}]\n"
        "from firmwire.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        f"print('HEAVY', *[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return set(ran.stdout.rpartition("HEAVY")[2].split())


def test_help_imports_nothing_heavy() -> None:
    """`firmwire --help` is instant: no command's file is read for it."""
    assert loaded("--help") == set()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_of_a_command_imports_nothing_heavy(name: str) -> None:
    """Asking what a command does costs only its own file."""
    assert loaded(name, "--help") == set()


def test_keys_help_needs_no_http_client() -> None:
    """It shows what can be asked without loading what asks."""
    assert loaded("keys", "create", "--help").isdisjoint({"httpx", "litestar", "sqlalchemy"})


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_there(name: str) -> None:
    """What the list promises can be imported and explains itself."""
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0
    assert "Usage:" in shown.output


def test_a_wrong_word_is_a_clear_line() -> None:
    """No trace, the word that was wrong, and status 2."""
    shown = CliRunner().invoke(main, ["upp"])
    assert shown.exit_code == 2
    assert "No such command 'upp'" in shown.output
    assert "Traceback" not in shown.output

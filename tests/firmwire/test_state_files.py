"""Files of the gateway's state: read as one, and every mistake has its file and line."""

import tomllib
from pathlib import Path

import pytest

from firmwire.state_files import BadFiles, StateFiles, lines_of, toml

TEXT = """\
hosts = ["api.firm.example"]

[plans.partner]  # for partners
scopes = [
  "process:time:read",  # a = "comment"
  "process:billing:read",
]

[consumers."p.1"]
plan = "partner"
owner = 'a = [ "odd" name'

[routes.invoices]
prefix = "/process/v1/invoices"
policies.authenticate = {}
[routes.invoices.policies.authorise]
scope = "process:billing:read"
"""


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return folder


def test_every_key_has_its_line(tmp_path):
    """Also quoted ones, dotted ones, and those below a list of several lines."""
    read = StateFiles([written(tmp_path, all=TEXT)])
    file = tmp_path / "all.toml"
    for pointer, line in (
        ("/hosts", 1),
        ("/plans/partner", 3),
        ("/plans/partner/scopes/1", 4),
        ("/plans/partner/burst", 3),
        ("/consumers/p.1/plan", 10),
        ("/consumers/p.1/owner", 11),
        ("/routes/invoices/policies/authenticate", 15),
        ("/routes/invoices/policies/authorise/scope", 17),
        ("/routes/invoices/policies/rate_limit", 15),
    ):
        assert f"{file}:{line}" == read.where(pointer)
    assert read.where("/nothing") == ""


def test_a_folder_is_one_state(tmp_path):
    """A thing in two files is a mistake that names both."""
    folder = written(tmp_path, a='[plans.x]\nscopes = ["process:*"]', b=TEXT)
    assert {"x", "partner"} == set(StateFiles([folder]).state["plans"])
    written(tmp_path, c='\n[plans.partner]\nscopes = ["process:*"]')
    with pytest.raises(BadFiles) as bad:
        StateFiles([folder])
    assert (
        f"{tmp_path / 'c.toml'}:2: plans.partner is in {tmp_path / 'b.toml'}:3 too",
    ) == bad.value.lines


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("[plans.x\n", 1, "Expected"),
        ('[plans.x]\nscopes = ["a"]\n\nburst = = 3\n', 4, "Invalid value"),
        ("[plans.x]\n[plans.x]\n", 2, "twice"),
        ("a = 'unfinished", 1, ""),
        ("\n[plums.x]\n", 2, "plums is none of plans"),
        ("[plans]\nx = 3\n", 1, "[plans.NAME]"),
    ],
)
def test_what_cannot_be_read_has_a_line(tmp_path, text, line, word):
    """Not TOML, or not ours."""
    with pytest.raises(BadFiles) as bad:
        StateFiles([written(tmp_path, bad=text)])
    (said,) = bad.value.lines
    assert said.startswith(f"{tmp_path / 'bad.toml'}:{line}: ")
    assert word in said


def test_a_folder_without_files_is_a_mistake(tmp_path):
    """Rather than a state in which nothing is wanted."""
    with pytest.raises(BadFiles):
        StateFiles([tmp_path])


def test_what_is_exported_reads_back_the_same():
    """Names with dots, tables in tables, quotes and other letters."""
    state = tomllib.loads(TEXT)
    state["consumers"]["p.1"]["owner"] = 'Zoë "Z" \\ Ltd'
    assert state == tomllib.loads(toml(state))
    assert lines_of(toml(state))["hosts",] == 1

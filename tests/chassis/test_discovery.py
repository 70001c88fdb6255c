"""Plugs are found by being there."""

import sys

import pytest

from chassis.discovery import NotAPlug, plugs


@pytest.fixture
def socket(tmp_path, monkeypatch):
    """A socket package `sockets_for_test` with a file, a folder, and a folder without the part."""
    home = tmp_path / "sockets_for_test"
    (home / "folder").mkdir(parents=True)
    (home / "bare").mkdir()
    (home / "__init__.py").write_text("")
    (home / "afile.py").write_text("PLUG = 1\n")
    (home / "folder" / "__init__.py").write_text("PLUG = 2\n")
    (home / "folder" / "part.py").write_text("PLUG = 3\n")
    (home / "bare" / "__init__.py").write_text("PLUG = 4\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield home
    for name in [name for name in sys.modules if name.startswith("sockets_for_test")]:
        del sys.modules[name]


def test_children_are_found_sorted_by_name(socket):
    """Files and folders alike."""
    assert plugs("sockets_for_test", "PLUG", int) == {"afile": 1, "bare": 4, "folder": 2}


def test_a_part_of_each_child_that_has_one(socket):
    """A folder without the part is left out, not an error."""
    assert plugs("sockets_for_test", "PLUG", int, part="part") == {"folder": 3}


def test_a_child_without_its_constant_is_named(socket):
    """Silently missing would be worse than not starting."""
    with pytest.raises(
        NotAPlug, match=r"sockets_for_test\.afile must export OTHER: int; .*nothing"
    ):
        plugs("sockets_for_test", "OTHER", int)
    with pytest.raises(NotAPlug, match="it exports a int"):
        plugs("sockets_for_test", "PLUG", str)

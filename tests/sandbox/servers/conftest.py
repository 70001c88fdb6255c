"""A folder to keep data in that leaves nothing behind, wherever root's data really lies."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "kept"
    yield folder
    for pointer in folder.rglob("elsewhere"):
        shutil.rmtree(pointer.read_text().strip(), ignore_errors=True)

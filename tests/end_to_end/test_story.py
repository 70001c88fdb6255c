"""The main job from nothing to reconciled books, as anybody would run it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WITHIN_S = 90

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("platform")]


def told(home: Path) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FIRMWIRE_")}
    command = [sys.executable, "-m", "firmwire", "demo", "--home", str(home), "--exit"]
    return subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def mentioning(home: Path) -> list[int]:
    """Processes that were started for this home and still live."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(home) in (entry / "environ").read_text(errors="replace"):
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def test_the_story_holds(tmp_path: Path) -> None:
    """Without a terminal: every verdict holds, nothing twice in the ERP, within ninety seconds."""
    home = tmp_path / "demo"
    began_s = time.perf_counter()
    telling = told(home)
    try:
        said, _ = telling.communicate(timeout=WITHIN_S)
    finally:
        telling.kill()
    took_s = time.perf_counter() - began_s
    assert telling.returncode == 0, said[-4000:]
    assert "0 differences" in said
    assert "duplicates in the ERP: 0" in said
    assert "SIGKILL to the process tier" in said
    assert "FAILS" not in said
    assert "Traceback" not in said
    assert took_s < WITHIN_S
    assert mentioning(home) == []


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_told_to_end_in_the_middle_it_leaves_nothing_behind(tmp_path: Path) -> None:
    """SIGTERM while the platform is up: every process of it ends."""
    home = tmp_path / "demo"
    telling = told(home)
    try:
        assert telling.stdout is not None
        for line in telling.stdout:
            if "starting six processes: done" in line:
                break
        assert len(mentioning(home)) >= 6
        telling.send_signal(signal.SIGTERM)
        telling.communicate(timeout=60)
    finally:
        telling.kill()
    assert telling.returncode != 0
    assert mentioning(home) == []

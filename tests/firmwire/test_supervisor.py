"""The supervisor over tiny children: started, restarted, given up, stopped, never orphaned."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from firmwire import supervisor as room
from firmwire.supervisor import Child, NotReady, PortTaken, Supervisor, free_ports, port_free

SERVES = """
import http.server, os, signal, subprocess, sys
name, port, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if how == "crashes":
    print("I cannot", flush=True); sys.exit(7)
if how == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    def told(*_):
        print("stopped", flush=True); os._exit(0)
    signal.signal(signal.SIGTERM, told)
if how == "parent":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if how == "never" else 200); self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", port), Door)
print("serving", flush=True)
server.serve_forever()
"""


class Nursery:
    """Makes supervisors of children that behave as told, and remembers what was said."""

    def __init__(self, script: Path) -> None:
        self.script = script
        self.said: list[tuple[str, str]] = []
        self.made: list[Supervisor] = []

    def of(self, after: tuple[str, ...] = (), **how: str) -> Supervisor:
        """after: what every child but the first waits for."""
        ports = free_ports(len(how))
        children = tuple(
            Child(
                name=name, port=port,
                command=(sys.executable, str(self.script), name, str(port), behaviour),
                after=after if name not in after else (),
            )
            for (name, behaviour), port in zip(how.items(), ports, strict=True)
        )  # fmt: skip
        made = Supervisor(children, dict(os.environ), lambda n, line: self.said.append((n, line)))
        self.made.append(made)
        return made

    async def until(self, holds: Callable[[], bool], within_s: float = 15.0) -> None:
        async with asyncio.timeout(within_s):
            while not holds():
                await asyncio.sleep(0.02)


@pytest.fixture
async def nursery(tmp_path: Path) -> AsyncIterator[Nursery]:
    script = tmp_path / "serves.py"
    script.write_text(SERVES)
    made = Nursery(script)
    yield made
    for each in made.made:
        await each.stop()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_started_in_order_stopped_in_reverse(nursery: Any) -> None:
    """Each is ready when start returns; what was started last is stopped first."""
    kept = nursery.of(one="well", two="well", three="well")
    await kept.start(ready_within_s=20)
    pids = [kept.pid(name) for name in ("one", "two", "three")]
    await kept.stop()
    assert [name for name, line in nursery.said if line == "stopped"] == ["three", "two", "one"]
    assert not any(alive(pid) for pid in pids)


async def test_who_comes_after_another_is_not_started_before_it_is_ready(nursery: Any) -> None:
    """Else it fills the first lines of the log with complaints that mean nothing."""
    kept = nursery.of(after=("one",), one="never", two="well")
    with pytest.raises(NotReady):
        await kept.start(ready_within_s=1.5)
    assert ("one", "serving") in nursery.said
    assert ("two", "serving") not in nursery.said


async def test_what_crashes_is_started_again(nursery: Any) -> None:
    """Killed without a word: a new process with the same name answers soon."""
    kept = nursery.of(one="well", two="well")
    await kept.start(ready_within_s=20)
    before = kept.pid("one")
    os.kill(before, signal.SIGKILL)
    await nursery.until(lambda: kept.pid("one") != before)
    await asyncio.wait_for(kept.ready("one"), 15)
    assert ("one", "ended with -9; starting it again") in nursery.said
    assert not kept.failed.is_set()


async def test_a_child_of_the_child_does_not_keep_it_from_being_started(nursery: Any) -> None:
    """A grandchild that holds the pipe open is no reason to wait for ever."""
    kept = nursery.of(one="parent")
    await kept.start(ready_within_s=20)
    before = kept.pid("one")
    os.kill(before, signal.SIGKILL)
    await nursery.until(lambda: kept.pid("one") != before, within_s=10)


async def test_what_crashes_again_and_again_is_given_up(
    nursery: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash loop ends with a clear word, and everything else is stopped."""
    monkeypatch.setattr(room, "RESTARTS_MAX", 2)
    kept = nursery.of(one="well", two="crashes")
    with pytest.raises(NotReady, match="two crashed too often"):
        await kept.start(ready_within_s=30)
    assert ("two", "ended 3 times within a minute; giving up") in nursery.said
    assert ("two", "I cannot") in nursery.said
    assert not alive(kept.pid("one"))


async def test_a_taken_port_is_one_clear_line(nursery: Any) -> None:
    """Nothing is started, and the line names who, which port and what to do."""
    kept = nursery.of(gateway="well")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", kept._children[0].port))
        taken.listen()
        with pytest.raises(PortTaken) as refused:
            await kept.start()
    line = str(refused.value)
    assert "\n" not in line
    assert f"gateway needs port {kept._children[0].port}" in line
    assert "FIRMWIRE_GATEWAY_PORT" in line
    assert nursery.said == []


async def test_what_is_never_ready_is_not_left_behind(nursery: Any) -> None:
    """Late is an error, and all that was started is stopped again."""
    kept = nursery.of(one="well", two="never")
    with pytest.raises(NotReady, match="within 2 s"):
        await kept.start(ready_within_s=2)
    assert not alive(kept.pid("one"))
    assert not alive(kept.pid("two"))


async def test_who_does_not_listen_is_killed(nursery: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM is ignored: SIGKILL after the time to stop, and it is said."""
    monkeypatch.setattr(room, "STOP_WITHIN_S", 0.3)
    kept = nursery.of(one="stubborn")
    await kept.start(ready_within_s=20)
    pid = kept.pid("one")
    await kept.stop()
    assert not alive(pid)
    assert ("one", "did not stop in time and was killed") in nursery.said


async def test_stopping_while_one_is_about_to_start_again(nursery: Any) -> None:
    """A child that crashed a moment before the end is not started behind the supervisor's back."""
    kept = nursery.of(slow="stubborn", crashed="well")
    await kept.start(ready_within_s=20)
    os.kill(kept.pid("crashed"), signal.SIGKILL)
    await nursery.until(lambda: ("crashed", "ended with -9; starting it again") in nursery.said)
    stopping = asyncio.create_task(kept.stop())
    await asyncio.sleep(1.0)  # longer than the pause before a restart
    os.kill(kept.pid("slow"), signal.SIGKILL)
    await asyncio.wait_for(stopping, 10)
    assert not alive(kept.pid("crashed"))
    assert sum(1 for name, line in nursery.said if (name, line) == ("crashed", "serving")) == 1


def test_free_ports_are_free_and_different() -> None:
    """As many as asked for, none twice, none taken."""
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(port_free(port) for port in ports)

"""The processes of the platform: a quiet start, and an end that no orchestrator calls a crash."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from firmwire.commands.serve import PROCESSES
from firmwire.platform import Platform, Ports
from firmwire.supervisor import Supervisor, child_environment, serve_command

LOUD = frozenset({"warning", "error", "critical"})


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """Everything was started, was ready, and was told to end: the log of the start, the codes."""
    platform = Platform(home=tmp_path_factory.mktemp("lived") / "home", ports=Ports.free())
    platform.prepare()
    said: list[tuple[str, str]] = []

    async def live() -> tuple[list[tuple[str, str]], dict[str, int]]:
        children = platform.children()
        supervisor = Supervisor(
            children, platform.environment(), lambda name, line: said.append((name, line))
        )
        await supervisor.start(ready_within_s=90)
        start = list(said)
        await supervisor.stop()
        return start, {child.name: supervisor.code(child.name) for child in children}

    return asyncio.run(live())


def test_a_start_says_nothing_that_frightens(lived):
    """No line of it is a warning: whoever reads the log looks for those."""
    start, _ = lived
    lines = [(name, json.loads(line)) for name, line in start]
    assert len(lines) > len(PROCESSES)
    assert [(name, line) for name, line in lines if line["level"] in LOUD] == []


def test_sigterm_is_a_clean_end_of_every_process(lived):
    """Status 0 of each: a container that ends so was told to, and did not crash."""
    _, codes = lived
    assert codes == dict.fromkeys(sorted(PROCESSES), 0)


@pytest.mark.parametrize("name", ["process", "sandbox"])
async def test_sigterm_during_the_start_is_a_clean_end_too(name: str, tmp_path: Path):
    """As soon as the process listens to the signal, long before it serves."""
    platform = Platform(home=tmp_path, ports=Ports.free(), size="L")
    platform.prepare()
    environment = child_environment(str(tmp_path), platform.environment())
    process = await asyncio.create_subprocess_exec(
        *serve_command(name), env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(30):
            while not hears(process.pid, signal.SIGTERM):
                await asyncio.sleep(0.005)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def hears(pid: int, sign: signal.Signals) -> bool:
    """Whether a process has a handler of its own for the signal."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (sign - 1) & 1)
    return False

"""Long answers end when the process is asked to stop."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, sys
from pathlib import Path
from litestar import get
from chassis import identity, server, stopping
from chassis.service import service

home = Path(sys.argv[1])
identity.ensure(home)

@get("/slow", opt={"public": True})
async def slow() -> dict[str, bool]:
    ended = asyncio.Event()
    stopping.tell(ended.set)
    print("waiting", flush=True)
    await asyncio.wait_for(ended.wait(), 60)
    return {"stopping": stopping.begun()}

made = service("slow", handlers=[slow], verifier=identity.Verifier(identity.jwks_file(home)))
server.run(made, port=int(sys.argv[2]))
"""


def test_a_long_poll_is_answered_when_the_process_stops(tmp_path):
    """SIGTERM wakes what waits; the caller gets an answer, and the process ends well."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free_port = probe.getsockname()[1]
    program = [sys.executable, "-c", PROGRAM, str(tmp_path), str(free_port)]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        asked = subprocess.Popen(
            ["curl", "-s", "--retry", "60", "--retry-connrefused", "--retry-delay", "0",
             "--retry-max-time", "20", f"http://127.0.0.1:{free_port}/slow"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        for line in process.stdout:
            if line.strip() == "waiting":
                break
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        body, _ = asked.communicate(timeout=20)
        process.wait(20)
    assert body == '{"stopping":true}'
    assert process.returncode == 0
    assert time.monotonic() - began < 8

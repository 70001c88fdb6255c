"""This file exists to be the sandbox's door: the vendors' simulators with the demo firm in them.

Owns   nothing itself.
Fails  BadSettings, OSError when the port is taken.
"""

from typing import Literal

import uvloop
from msgspec import Struct

from chassis import log, settings
from sandbox.app import create
from sandbox.firm.load import load, truth_in
from sandbox.serve import serve


class SandboxSettings(Struct, frozen=True, kw_only=True):
    """size and seed: of the demo firm, loaded when the sandbox has none; `none` leaves it empty."""

    port: int = 8110
    size: Literal["S", "M", "L", "none"] = "S"
    seed: int = 7
    log_form: str = "json"


def run() -> None:
    """`firmwire serve sandbox`: until SIGTERM."""
    chosen = settings.load(SandboxSettings, "sandbox")
    log.configure("sandbox", form="console" if chosen.log_form == "console" else "json")
    home = settings.home()
    say = log.log("sandbox.run")
    if chosen.size != "none" and truth_in(home) is None:
        sandbox = create(home, seed=chosen.seed)
        truth = load(sandbox, home, size=chosen.size, seed=chosen.seed)
        uvloop.run(sandbox.close())
        say.info("firm.loaded", size=truth.size, entries=truth.entries, month=str(truth.month))
    say.info("sandbox.starts", port=chosen.port)
    uvloop.run(serve(home, chosen.port, seed=chosen.seed))

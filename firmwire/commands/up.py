"""This file exists to start the whole platform on this machine and keep it up until told to stop.

Owns   the terminal while it runs.
Fails  status 1 with one clear line when a port is taken or something does not come up.
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from firmwire.platform import Platform


@click.command()
@click.option("--home", type=click.Path(path_type=Path), help="Folder of this installation.")
@click.option("--no-sandbox", is_flag=True, help="Without the vendors' simulators.")
@click.option("--size", type=click.Choice(["S", "M", "L", "none"]), default="S", show_default=True,
              help="Demo firm that is loaded into an empty sandbox.")  # fmt: skip
@click.option("--seed", type=int, default=7, show_default=True, help="Of the demo firm.")
@click.option("--free-ports", is_flag=True, help="Any free ports instead of the usual ones.")
def up(home: Path | None, no_sandbox: bool, size: str, seed: int, free_ports: bool) -> None:
    """Start every tier, the gateway and the sandbox; restart what crashes; stop on Ctrl-C."""
    from chassis import settings
    from firmwire.platform import Platform, Ports

    platform = Platform(
        home=(home or settings.home()).absolute(),
        ports=Ports.free() if free_ports else Ports.chosen(),
        with_sandbox=not no_sandbox,
        size=size,
        seed=seed,
    )
    sys.exit(asyncio.run(_run(platform)))


async def _run(platform: "Platform") -> int:
    from firmwire.console import Console
    from firmwire.firm import tell_process_tier
    from firmwire.platform import PATIENCE
    from firmwire.supervisor import NotReady, PortTaken, Supervisor

    console = Console()
    platform.prepare()
    supervisor = Supervisor(platform.children(), platform.environment(), console.child_said)
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    try:
        await supervisor.start(ready_within_s=60.0 * PATIENCE[platform.size])
    except (PortTaken, NotReady) as trouble:
        console.trouble(str(trouble))
        return 1
    try:
        if platform.with_sandbox:
            await tell_process_tier(platform)
        console.up(platform)
        told = asyncio.create_task(stop.wait())
        failed = asyncio.create_task(supervisor.failed.wait())
        await asyncio.wait({told, failed}, return_when=asyncio.FIRST_COMPLETED)
        for task in (told, failed):
            task.cancel()
        return 1 if supervisor.failed.is_set() else 0
    finally:
        console.note("stopping")
        await supervisor.stop()
        console.note("stopped")

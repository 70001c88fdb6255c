"""This file exists to show the main job on this machine, from nothing to reconciled books.

Owns   a home folder of its own, made anew, and the processes it starts.
Fails  status 1 when a chapter does not hold; what failed is the last line.
"""

import asyncio
import shutil
import signal
import sys
from pathlib import Path

import click


@click.command()
@click.option("--home", type=click.Path(path_type=Path), default=Path(".firmwire/demo"),
              show_default=True, help="Made anew at every demo.")  # fmt: skip
@click.option("--size", type=click.Choice(["S", "M", "L"]), default="S", show_default=True)
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--real-erp", is_flag=True, help="Post into Tryton instead of the simulated ERP.")
@click.option(
    "--exit", "leave", is_flag=True, help="End when the story is told, also on a terminal."
)
@click.option("--verbose", is_flag=True, help="Show what every process says.")
def demo(home: Path, size: str, seed: int, real_erp: bool, leave: bool, verbose: bool) -> None:
    """Approved time becomes posted invoices, exactly once - and you can watch it."""
    stay = sys.stdout.isatty() and not leave
    if real_erp:
        from firmwire.real_erp import tell

        sys.exit(asyncio.run(tell(home.absolute() / "real", stay=stay, verbose=verbose)))
    home = home.absolute()
    if home.exists():
        shutil.rmtree(home)
    sys.exit(asyncio.run(_tell(home, size, seed, stay, verbose)))


async def _tell(home: Path, size: str, seed: int, stay: bool, verbose: bool) -> int:
    from contracts.problem import Problem
    from firmwire.chapters import Chapters
    from firmwire.console import Console
    from firmwire.platform import PATIENCE, Platform, Ports
    from firmwire.story import StoryFailed
    from firmwire.supervisor import NotReady, PortTaken, Supervisor, interrupted, port_free

    _end_well()
    console = Console(quiet=not verbose)
    ports = Ports.free()
    if port_free(Ports.chosen().gateway):
        ports = Ports(**{**_fields(ports), "gateway": Ports.chosen().gateway})
    platform = Platform(home=home, ports=ports, size=size, seed=seed)
    platform.prepare()
    supervisor = Supervisor(platform.children(), platform.environment(), console.child_said)
    try:
        with console.busy("starting six processes"):
            await supervisor.start(ready_within_s=60.0 * PATIENCE[size])
        chapters = Chapters(platform, supervisor, console)
        try:
            held = await chapters.tell()
        finally:
            await chapters.aclose()
        if stay:
            console.note(f"staying up; the page is {platform.page_url}. Ctrl-C ends it.")
            await interrupted()
        return 0 if held else 1
    except (StoryFailed, NotReady, PortTaken, Problem) as failed:
        console.trouble(str(failed))
        return 1
    except asyncio.CancelledError:
        console.trouble("told to end")
        return 143
    finally:
        await supervisor.stop()


def _end_well() -> None:
    """SIGTERM unwinds like Ctrl-C, so that no child is left behind."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _fields(ports: object) -> dict[str, int]:
    return {name: getattr(ports, name) for name in ports.__struct_fields__}  # type: ignore[attr-defined]

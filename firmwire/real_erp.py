"""This file exists to tell the main job with an ERP that nobody here wrote: Tryton.

Owns   a Tryton with a database of its own, and the platform's processes, while the story lasts.
Fails  status 1 when a chapter does not hold, or when Tryton cannot be had; one line says why.
"""

import os
import shutil
import signal
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from chassis import clock
from contracts.problem import Problem
from firmwire.console import Console
from firmwire.office import Office
from firmwire.platform import Platform, Ports
from firmwire.story import Story, StoryFailed, lines_of, totals
from firmwire.supervisor import NotReady, PortTaken, Supervisor, interrupted
from firmwire.tryton_hours import Month, invoices, write_month
from gateway.control.client import ControlClient
from sandbox.firm.load import Truth, last_month
from sandbox.servers import tryton
from sandbox.servers.launch import Died, Missing
from sandbox.servers.tryton_rpc import Refused
from sandbox.servers.tryton_seed import COMPANY_CODE, COMPANY_TAX_NUMBER

TENANT = "acme"
SCOPES = ("process:*", "experience:*")


async def tell(home: Path, *, stay: bool, verbose: bool) -> int:
    """The story. stay: keep everything up at the end until interrupted."""
    console = Console(quiet=not verbose)
    shutil.rmtree(home, ignore_errors=True)
    try:
        with ExitStack() as stack:
            with console.progress("Tryton: built once, then cached") as watch:
                up = tryton.tryton(report=lambda _, part: watch(int(part * 100), 100))
                serving = stack.enter_context(up)
            return await _with(serving.erp, home, console, stay=stay)
    except (Missing, Died, Refused, StoryFailed, NotReady, PortTaken, Problem) as failed:
        console.trouble(str(failed))
        return 1


async def _with(erp: tryton.Erp, home: Path, console: Console, *, stay: bool) -> int:
    platform = Platform(home=home, ports=Ports.free(), with_sandbox=False, more=_wiring(erp))
    platform.prepare()
    began_s = clock.monotonic()
    console.chapter("Hours are written in Tryton")
    with console.busy("customers, projects and a month of hours, through Tryton's own API"):
        month = write_month(erp.admin(), last_month(clock.now().date()))
    console.note(f"{month.lines} lines of {month.first:%B %Y}")
    supervisor = Supervisor(platform.children(), platform.environment(), console.child_said)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(supervisor.stop)
        with console.busy("starting five processes"):
            await supervisor.start()
        office = await _office(platform)
        stack.push_async_callback(office.aclose)
        story = Story(office, _truth(month), erp="tryton")
        verdict = await _chapters(story, supervisor, console, month)
        # A session of its own: the ERP let go of the first one's line while it was idle.
        held = invoices(erp.admin(), f"{TENANT}-{COMPANY_CODE}")
        repeated = sum(n - 1 for n in Counter(r for r, _, _ in held).values() if n > 1)
        numbers = [number for _, number, _ in held]
        verdict += [
            ("duplicates in Tryton", str(repeated), repeated == 0),
            ("all posted, numbers distinct", f"{len(held)}", _posted(held) and _distinct(numbers)),
        ]
        console.summary(verdict, clock.monotonic() - began_s, platform.page_url)
        if stay:
            await interrupted()
    return 0 if all(fine for _, _, fine in verdict) else 1


async def _chapters(
    story: Story, supervisor: Supervisor, console: Console, month: Month
) -> list[tuple[str, str, bool]]:
    verdict: list[tuple[str, str, bool]] = []
    console.streams(await story.sync())
    with console.progress("entries arriving and evaluated") as watch:
        states = await story.evaluated(watch)
    console.states(states)
    console.groups(await story.groups())
    different = await story.differences()
    console.differences(different)
    seen = f"{month.lines} lines, {len(different)} differences"
    verdict.append(("every line judged as it must be", seen, not different))
    console.chapter("A billing run into Tryton, with a SIGKILL in between")
    run = await story.preview("real-1", ())
    console.note(f"preview: {run.invoices} invoices, {run.lines} lines: {totals(run)}")
    await story.release(run)
    killed = False

    async def watched(done: int, of: int) -> None:
        nonlocal killed
        watch(done, of)
        if not killed and 0 < done < of:
            killed = True
            os.kill(supervisor.pid("process"), signal.SIGKILL)
            console.note(f"SIGKILL to the process tier with {done} of {of} posted")

    with console.progress("posting into Tryton") as watch:
        posted = await story.posted(run, watched)
    console.invoices(posted)
    console.trace(lines_of(await story.trace(posted[0])))
    verdict.append(("posted once, killed in between", f"{len(posted)} invoices", killed))
    report = await story.reconcile()
    agree = report.lost == 0 and report.extra == 0 and not report.differences
    told = f"{report.ours} ours, {report.theirs} in Tryton, {report.lost} lost"
    verdict.append(("books agree both ways", told, agree))
    return verdict


async def _office(platform: Platform) -> Office:
    token = (platform.home / "gateway" / "admin.token").read_text().strip()
    async with ControlClient(platform.control_url, token) as control:
        await control.set_consumer("finance-partner", "internal", reason="demo")
        made = await control.create_key("finance-partner", scopes=SCOPES, reason="demo")
    return Office(platform.gateway_url, made.secret)


def _truth(month: Month) -> Truth:
    return Truth(
        size="real",
        seed=0,
        month=month.first,
        entries=month.lines,
        expected=month.expected,
        legacy={},
        billable=month.lines - len(month.expected),
    )


def _wiring(erp: tryton.Erp) -> dict[str, str]:
    own = "FIRMWIRE_SYSTEM_INSTANCE_TRYTON_"
    return {
        "FIRMWIRE_SYSTEM_INSTANCES": '{"tryton":"tryton"}',
        f"{own}BASE_URL": erp.url,
        f"{own}DATABASE": erp.database,
        f"{own}USER": erp.user,
        f"{own}PASSWORD": erp.passwords.user,
        f"{own}LEGAL_ENTITY": COMPANY_CODE,
        f"{own}TAX_REGISTRATION": COMPANY_TAX_NUMBER,
        f"{own}SETTLE_S": "5",
        "FIRMWIRE_PROCESS_SOURCES": "tryton/psa,tryton/hcm,tryton/erp",
        "FIRMWIRE_PROCESS_DEFAULT_ERP": "tryton",
        "FIRMWIRE_PROCESS_ALLOW_SELF_RELEASE": "true",
        "FIRMWIRE_PROCESS_TENANT": TENANT,
    }


def _posted(held: list[tuple[str, str, str]]) -> bool:
    return bool(held) and all(state in ("posted", "paid") for _, _, state in held)


def _distinct(numbers: list[str]) -> bool:
    return len(set(numbers)) == len(numbers) and all(numbers)

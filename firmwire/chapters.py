"""This file exists to tell the story chapter by chapter on a terminal, and to keep the verdict.

Owns   what is printed, and the list of what must hold in the end.
Fails  StoryFailed as the story fails.
"""

import os
import signal
from contextlib import suppress

from chassis import clock
from firmwire.console import Console
from firmwire.firm import tell_process_tier
from firmwire.office import Office
from firmwire.platform import Platform
from firmwire.psa_desk import PsaDesk
from firmwire.story import Story, StoryFailed, lines_of, totals
from firmwire.supervisor import Supervisor
from firmwire.witness import Witness
from gateway.control.client import ControlClient
from sandbox.firm.figures import ENTITIES
from sandbox.firm.load import secrets_in, truth_in
from system_apis.vendors.salesforce.simulator import record_id  # house: plug ids have a checksum

SCOPES = ("process:*", "experience:*")
EUROPE = ("LE-DE", "LE-FR", "LE-UK")
# what the ERP does to us while we post: slow answers, and every fifth reply lost after the work
MISFORTUNE: list[dict[str, object]] = [
    {
        "fault": "timeout_after_commit",
        "match": {"method": "POST", "path_prefix": "/services/rest/record/v1/invoice"},
        "args": {"hang_s": 0.2},
        "every_nth": 5,
    },
    {
        "fault": "latency",
        "match": {"method": "POST", "path_prefix": "/services/rest/record/v1/invoice"},
        "args": {"ms": 400},
    },
]


class Chapters:
    """One telling over a platform that is up."""

    def __init__(self, platform: Platform, supervisor: Supervisor, console: Console) -> None:
        truth = truth_in(platform.home)
        if truth is None:
            raise StoryFailed("the sandbox has no demo firm")
        self._platform, self._supervisor, self._console = platform, supervisor, console
        self._truth = truth
        self._witness = Witness(platform.sandbox_url)
        self._office: Office | None = None
        self._began_s = clock.monotonic()
        self._verdict: list[tuple[str, str, bool]] = []

    async def aclose(self) -> None:
        """Let go of the connections."""
        with suppress(RuntimeError):
            await self._witness.aclose()
            if self._office is not None:
                await self._office.aclose()

    async def tell(self) -> bool:
        """All chapters; True when everything that must hold held."""
        story = await self._arrive()
        await self._time_arrives(story)
        await self._exceptions(story)
        others = tuple(sorted(e.code for e in ENTITIES if e.code not in EUROPE))
        await self._bill(story, "1", others, kill=False, title="the Americas and Asia")
        await self._mend(story)
        await self._bill(story, "2", EUROPE, kill=True, title="Europe, with a SIGKILL in between")
        await self._deals(story)
        await self._books(story)
        took_s = clock.monotonic() - self._began_s
        self._console.summary(self._verdict, took_s, self._platform.page_url)
        return all(held for _, _, held in self._verdict)

    async def _arrive(self) -> Story:
        self._console.chapter("A partner gets a key, the firm's systems are read")
        token = (self._platform.home / "gateway" / "admin.token").read_text().strip()
        async with ControlClient(self._platform.control_url, token) as control:
            await control.set_consumer("finance-partner", "internal", reason="demo")
            made = await control.create_key("finance-partner", scopes=SCOPES, reason="demo")
        key_file = self._platform.home / "partner.key"
        key_file.write_text(made.secret)
        key_file.chmod(0o600)
        self._console.note(f"key {made.secret[:12]}... for finance-partner, in {key_file.name}")
        self._office = Office(self._platform.gateway_url, made.secret)
        story = Story(self._office, self._truth)
        prices = await tell_process_tier(self._platform)
        with self._console.busy("reading master data from five systems"):
            states = await story.sync()
        self._console.streams(states)
        stalled = [f"{s.system}/{s.stream}" for s in states if s.state not in ("IDLE", "RUNNING")]
        self._holds(
            "master data read", f"{len(states)} feeds, {prices} transfer prices", not stalled
        )
        return story

    async def _time_arrives(self, story: Story) -> None:
        self._console.chapter(f"A month of time ({self._truth.month:%B %Y}) is approved in the PSA")
        secret = secrets_in(self._platform.home).kantata
        desk = PsaDesk(f"{self._platform.sandbox_url}/kantata", secret)
        try:
            with self._console.progress("approving timesheets in the PSA's own API") as watch:
                approved = await desk.approve_all(watch)
        finally:
            await desk.aclose()
        with self._console.progress("entries arriving and evaluated") as watch:
            states = await story.evaluated(watch)
        self._console.states(states)
        self._holds("entries evaluated", f"{approved} approved", approved == self._truth.entries)

    async def _exceptions(self, story: Story) -> None:
        self._console.chapter("What cannot be billed is on somebody's desk")
        self._console.groups(await story.groups())
        different = await story.differences()
        self._console.differences(different)
        found = f"{len(self._truth.expected)} defects injected, {len(different)} differences"
        self._holds("every defect found, nothing else", found, not different)

    async def _bill(
        self, story: Story, seed: str, entities: tuple[str, ...], *, kill: bool, title: str
    ) -> None:
        self._console.chapter(f"A billing run: {title}")
        run = await story.preview(seed, entities)
        self._console.note(
            f"preview: {run.invoices} invoices, {run.lines} lines, {run.transactions} ledger rows: "
            f"{totals(run)}"
        )
        if run.invoices == 0:
            raise StoryFailed("the preview is empty")
        await self._witness.misfortune("netsuite", MISFORTUNE)
        await story.release(run)
        killed = False

        async def watched(done: int, of: int) -> None:
            nonlocal killed
            watch(done, of)
            if kill and not killed and 0 < done < of:
                killed = True
                os.kill(self._supervisor.pid("process"), signal.SIGKILL)
                self._console.note(f"SIGKILL to the process tier with {done} of {of} posted")

        with self._console.progress("posting into the ERP") as watch:
            invoices = await story.posted(run, watched)
        await self._witness.misfortune("netsuite", [])
        self._console.invoices(invoices)
        if kill:
            self._holds("killed in the middle of posting", "and started again", killed)
        self._holds(f"run {seed} posted", f"{len(invoices)} invoices", bool(invoices))
        if not kill:
            self._console.trace(lines_of(await story.trace(invoices[0])))

    async def _mend(self, story: Story) -> None:
        self._console.chapter("One mapping is mended, and its whole group goes on")
        workspace, project, redriven = await story.mend()
        expected = sum(1 for c in self._truth.expected.values() if c == ("PROJECT_UNKNOWN",))
        self._console.note(f"PSA workspace {workspace} is {project}: {redriven} entries set free")
        self._holds("group re-driven", f"{redriven} of {expected} entries", redriven == expected)

    async def _deals(self, story: Story) -> None:
        self._console.chapter("Two won deals: one becomes a project, one is sent back")
        made = await story.won(record_id("Opportunity", 1))
        self._console.steps(made)
        again = await story.won(record_id("Opportunity", 1))
        self._holds(
            "won deal became a project", str(made.result), made.state == "DONE" and again == made
        )
        lacking = await story.won(record_id("Opportunity", 2))
        self._console.note(f"the other: {lacking.error}")
        self._holds("incomplete deal refused", lacking.state, lacking.state == "FAILED")

    async def _books(self, story: Story) -> None:
        self._console.chapter("The ERP's own store is asked")
        books = await self._witness.books()
        report = await story.reconcile()
        states = await story.states()
        self._holds("duplicates in the ERP", str(books.duplicates), books.duplicates == 0)
        there = f"{report.ours} ours, {report.theirs} in the ERP, {report.lost} lost"
        right = report.lost == 0 and report.extra == 0 and report.ours == len(books.references)
        self._holds("books agree both ways", there, right and not report.differences)
        left = states.get("READY", 0) + states.get("ON_DRAFT", 0)
        billed = states.get("BILLED", 0)
        self._holds("nothing billable is left", f"{billed} entries billed, {left} left", left == 0)

    def _holds(self, what: str, seen: str, held: bool) -> None:
        self._verdict.append((what, seen, held))
        self._console.verdict(what, seen, held)

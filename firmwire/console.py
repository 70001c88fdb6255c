"""This file exists to be what people see on the terminal: one coloured log, tables, progress.

Owns   the terminal, through rich.
Fails  never.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console as Terminal
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from contracts.ports.process.billing import InvoiceSummary
from contracts.ports.process.exceptions import Group
from contracts.ports.process.journeys import Run
from contracts.ports.process.master_data import StreamState
from firmwire.platform import Platform
from firmwire.story import Difference

COLOURS = {
    "control": "magenta",
    "experience": "cyan",
    "gateway": "green",
    "process": "yellow",
    "sandbox": "bright_black",
    "system": "blue",
}
_LEVELS = {"warning": "yellow", "error": "bold red", "critical": "bold red"}
_LOUD = frozenset({"error", "critical"})
_QUIET = frozenset({"request.answered", "settings.read"})


class Console:
    """quiet: only what children call an error is shown."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.terminal = Terminal(highlight=False)
        if not self.terminal.is_terminal:
            self.terminal = Terminal(highlight=False, width=160)  # a log file has no edge
        self.quiet = quiet

    def child_said(self, name: str, line: str) -> None:
        """One line of a child, shortened for the eye when it is a structured event."""
        try:
            event: dict[str, Any] = json.loads(line)
            level, words = str(event.get("level", "info")), _told(event)
        except (ValueError, AttributeError):
            level, words = "info", line
            event = {}
        if event.get("event") in _QUIET or (self.quiet and level not in _LOUD):
            return
        style = _LEVELS.get(level, "default")
        prefix = f"[{COLOURS.get(name, 'white')}]{name:>10}[/]"
        self.terminal.print(f"{prefix} [{style}]{escape(words)}[/]", soft_wrap=True)

    def note(self, words: str) -> None:
        """A line of our own."""
        self.terminal.print(f"[bold]{'firmwire':>10}[/] {escape(words)}")

    def trouble(self, words: str) -> None:
        """A line that says why something did not work."""
        self.terminal.print(f"[bold red]{'firmwire':>10}[/] {escape(words)}")

    def up(self, platform: Platform) -> None:
        """Where everything is."""
        table = Table(title="Firmwire is up", show_header=False, title_justify="left")
        table.add_row("gateway", platform.gateway_url)
        table.add_row("admin API", platform.control_url)
        table.add_row("console", f"{platform.control_url}/console (gateway/admin.token in home)")
        table.add_row("dashboard", f"{platform.page_url} (user: any, password: an API key)")
        if platform.with_sandbox:
            table.add_row("sandbox", f"{platform.sandbox_url}/_sandbox")
        table.add_row("home", str(platform.home))
        table.add_row("a key", "firmwire keys create partner-1 --plan partner")
        self.terminal.print(table)

    def chapter(self, title: str) -> None:
        """A new part of the story."""
        self.terminal.print()
        self.terminal.rule(f"[bold]{escape(title)}[/]", align="left")

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """A spinner for what has no known length."""
        with self.terminal.status(f"{escape(what)} ..."):
            yield
        self.note(f"{what}: done")

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """A bar; call what is yielded with (done, of how many)."""
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(),
        )  # fmt: skip
        with Progress(*columns, console=self.terminal) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def streams(self, states: Sequence[StreamState]) -> None:
        """Records by system and feed."""
        table = Table("system", "feed", "records", "state", title="Master data")
        for s in sorted(states, key=lambda s: (s.system, s.stream)):
            table.add_row(s.system, s.stream, f"{s.records:,}", f"{s.state} {s.say}".strip())
        self.terminal.print(table)

    def states(self, by_state: dict[str, int]) -> None:
        """Entries by billing state."""
        words = ", ".join(f"{count:,} {state}" for state, count in sorted(by_state.items()))
        self.note(f"entries: {words}")

    def groups(self, groups: Sequence[Group]) -> None:
        """Causes with owner, worth and mend; warnings are only counted."""
        table = Table("cause", "owner", "items", "at risk", "root", "what to do")
        for g in (g for g in groups if g.severity != "WARN"):
            worth = ", ".join(str(m) for m in g.at_risk) or "-"
            table.add_row(g.code, g.owner, str(g.items), worth, g.root, g.hint)
        self.terminal.print(table)
        warned = Counter(g.code for g in groups if g.severity == "WARN")
        if warned:
            self.note(
                "warnings that stop nothing: " + ", ".join(f"{c} x{n}" for c, n in warned.items())
            )

    def differences(self, different: Sequence[Difference]) -> None:
        """Where the outcome is not what the generator knows."""
        if not different:
            self.note("against the generator's ground truth: no difference")
            return
        table = Table("entry", "expected", "found", title="Differences from the ground truth")
        for d in different[:30]:
            table.add_row(d.entry, ", ".join(d.expected) or "-", ", ".join(d.found) or "-")
        self.terminal.print(table)

    def invoices(self, invoices: Sequence[InvoiceSummary]) -> None:
        """Posted invoices with the numbers the ERP gave."""
        table = Table("number", "reference", "account", "lines", "net", "status")
        for i in sorted(invoices, key=lambda i: i.erp_number):
            table.add_row(
                i.erp_number, i.external_ref, i.billing_account, str(i.lines), str(i.net), i.status
            )
        self.terminal.print(table)

    def trace(self, facts: Sequence[tuple[str, Any]]) -> None:
        """One invoice line, down to its contract."""
        table = Table(title="One invoice line, traced", show_header=False, title_justify="left")
        for label, value in facts:
            table.add_row(label, str(value))
        self.terminal.print(table)

    def steps(self, run: Run) -> None:
        """What a durable run did."""
        for step in run.steps:
            self.note(f"{step.state.lower():>8} {step.name} {step.error}".rstrip())

    def verdict(self, what: str, seen: str, held: bool) -> None:
        """One thing that must hold."""
        mark = "[green]holds[/]" if held else "[bold red]FAILS[/]"
        self.terminal.print(f"{mark:>10} {escape(what)}: {escape(seen)}")

    def summary(self, verdict: Sequence[tuple[str, str, bool]], took_s: float, page: str) -> None:
        """The end of the story."""
        self.terminal.print()
        table = Table("must hold", "seen", "", title=f"Told in {took_s:.0f} s")
        for what, seen, held in verdict:
            table.add_row(what, seen, "[green]yes[/]" if held else "[bold red]NO[/]")
        self.terminal.print(table)
        self.note(f"the operations page: {page} (user: any, password: the key in partner.key)")


def _told(event: dict[str, Any]) -> str:
    known = ("at", "level", "event", "service", "room", "request_id", "correlation_id", "trace_id")
    rest = " ".join(f"{k}={v}" for k, v in event.items() if k not in known)
    return f"{event.get('event', '')} {rest}".strip()

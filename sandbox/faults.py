"""Decides which misfortune strikes a request to a simulated vendor: by header or by schedule.

Owns: the rules of one vendor (in memory) and the fault of the request being answered.
Fails: BadRule on a rule or header that names no fault.
"""

import random
from collections.abc import Sequence
from contextvars import ContextVar

from msgspec import Struct, field

from system_apis.simulator import Fault

COMMON = {
    "latency": "ms=500: answered late",
    "rate_limited": "status=429, the vendor's words",
    "server_error": "status=500, the vendor's words; nothing done",
    "cut_line": "the connection closes without a reply; nothing done",
    "timeout_before": "hang_s=30 of silence, then the line is cut; nothing done",
    "timeout_after_commit": "done, then hang_s=30 of silence, then the line is cut",
    "error_after_commit": "done, and answered with status=500",
    "late_commit": "the line is cut now; done delay_s=1 later",
    "stale_search": "lag_s=60: searches do not see what is younger",
    "maintenance": "the vendor's own closed sign",
}
"""Every common fault, and what its arguments default to. Vendors may know more by `x_` names."""

_CURRENT: ContextVar[Fault | None] = ContextVar("fault", default=None)


class BadRule(ValueError):
    """No such fault, or a rule that can never strike."""


class Match(Struct, frozen=True, forbid_unknown_fields=True):
    """Empty method: any. path_prefix: without the vendor's own prefix."""

    method: str = ""
    path_prefix: str = "/"


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """One of probability, every_nth (the 1st, n+1st, ... match strikes), count (the first n); or
    always. skip: leave the first n matches alone."""

    fault: str
    match: Match = field(default_factory=Match)
    args: dict[str, str | int | float] = field(default_factory=dict)
    probability: float | None = None
    every_nth: int | None = None
    count: int | None = None
    skip: int = 0


class Schedule:
    """The kit's Faults, and what the sandbox asks for each request."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.rules: tuple[Rule, ...] = ()
        self.matched: list[int] = []
        self.struck: list[int] = []

    def set(self, rules: Sequence[Rule]) -> None:
        """Replace the schedule; counting starts anew."""
        for rule in rules:
            _known(rule.fault)
        self.rules = tuple(rules)
        self.matched, self.struck = [0] * len(rules), [0] * len(rules)

    def strike(self, method: str, path: str, header: str | None) -> Fault | None:
        """The fault of this request: the header's, else the first rule's that strikes."""
        if header:
            return parse_header(header)
        for number, rule in enumerate(self.rules):
            if rule.match.method.upper() not in ("", method):
                continue
            if path.startswith(rule.match.path_prefix) and self._strikes(number, rule):
                return Fault(rule.fault, {name: str(value) for name, value in rule.args.items()})
        return None

    def current(self) -> Fault | None:
        """The fault of the request now being answered."""
        return _CURRENT.get()

    def enter(self, fault: Fault | None) -> None:
        """From here on this task answers under this fault."""
        _CURRENT.set(fault)

    def _strikes(self, number: int, rule: Rule) -> bool:
        self.matched[number] += 1
        turn = self.matched[number] - rule.skip
        if turn <= 0:
            return False
        if rule.count is not None:
            hit = turn <= rule.count
        elif rule.every_nth is not None:
            hit = (turn - 1) % max(rule.every_nth, 1) == 0
        elif rule.probability is not None:
            hit = self._random.random() < rule.probability
        else:
            hit = True
        self.struck[number] += hit
        return hit


def parse_header(text: str) -> Fault:
    """`timeout_after_commit;hang_s=2` -> Fault."""
    name, *pairs = (part.strip() for part in text.split(";"))
    args = {}
    for pair in filter(None, pairs):
        key, _, value = pair.partition("=")
        args[key.strip()] = value.strip()
    return Fault(_known(name), args)


def _known(name: str) -> str:
    if name not in COMMON and not name.startswith("x_"):
        raise BadRule(f"no such fault: {name!r}; there are {', '.join(COMMON)}")
    return name

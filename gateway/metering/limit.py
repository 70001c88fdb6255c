"""This file exists to say what a limit is: how much of what, for whom, in which time.

Owns   the shape Limit, which plans and routes hold, and what makes one wrong.
Fails  ValueError naming the field; msgspec passes it on with the place where it stood.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta, Struct, structs

Kind = Literal["rate", "quota", "concurrency"]
Period = Literal["", "minute", "hour", "day", "month", "year"]
Per = Literal["consumer", "key", "route", "address", "plan"]
WhenDown = Literal["closed", "open", "local"]

FASTEST_PER_S = 1_000_000


class Limit(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One promise: at most so much, in a time, for each of somebody.

    kind: `rate` is amount in every window_s seconds, burst at once (amount when 0); `quota` is
    amount in a calendar period, UTC; `concurrency` is amount at the same time.
    per: whose requests are counted together; several narrow it: consumer and route.
    when_store_down: `closed` refuses, `open` lets in, `local` lets each worker give its share.
    shadow: counted and told in the metrics, never refused.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    kind: Kind
    amount: Annotated[int, Meta(ge=1, le=10**15)]
    window_s: Annotated[int, Meta(ge=1, le=31 * 86_400)] = 1
    burst: Annotated[int, Meta(ge=0, le=10**9)] = 0
    period: Period = ""
    per: Annotated[tuple[Per, ...], Meta(min_length=1)] = ("consumer",)
    when_store_down: WhenDown = "local"
    shadow: bool = False

    def __post_init__(self) -> None:
        if self.kind != "rate" and (self.window_s != 1 or self.burst):
            field = "burst" if self.burst else "window_s"
            raise ValueError(f"{field}: only a rate has one; limit {self.name} is a {self.kind}")
        if (self.kind == "quota") != bool(self.period):
            raise ValueError(f"period: a quota has one, nothing else; limit {self.name}")
        if self.kind == "rate" and self.amount > FASTEST_PER_S * self.window_s:
            raise ValueError(f"amount: at most {FASTEST_PER_S} a second; limit {self.name}")
        if len(set(self.per)) != len(self.per):
            raise ValueError(f"per: says the same twice; limit {self.name}")

    @property
    def most(self) -> int:
        """As many as may come at once."""
        return self.burst or self.amount


# For whom neither the plan nor the route names a rate: no route is without one by omission.
UNSAID = Limit(name="default", kind="rate", amount=50, burst=100, per=("consumer", "route"))


def repeated(limits: Iterable[Limit]) -> str:
    """A name that two of them bear; empty when each has its own."""
    seen: set[str] = set()
    for limit in limits:
        if limit.name in seen:
            return limit.name
        seen.add(limit.name)
    return ""


class Adjusted(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an admin changed for one consumer on one plan. limit: its name.

    generation: counts resets; what was counted under another is forgotten. amount: instead of the
    limit's own until until_s (Unix seconds); 0 leaves it.
    """

    consumer: str
    plan: str
    limit: str
    generation: int = 0
    amount: int = 0
    until_s: int = 0


def raised(limit: Limit, amount: int) -> Limit:
    """With another amount; a burst grows or shrinks with it."""
    burst = max(1, limit.burst * amount // limit.amount) if limit.burst else 0
    return structs.replace(limit, amount=amount, burst=burst)

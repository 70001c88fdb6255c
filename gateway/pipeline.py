"""This file exists to order the policies, check them, and compile a route's pipe once a snapshot.

Owns   the order (stage, name); the rule that nothing reads what nobody wrote before.
Fails  PipeRefused, naming the policy and the fact, or the route and what it lacks.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from contracts.problem import Problem
from gateway.policy import Exchange, Policy, Tools
from gateway.routes import Route

BEFORE = frozenset({"request", "route", "client"})

Waiting = Coroutine[Any, Any, Problem | None]
Down = Callable[[Exchange], Problem | Waiting | None]
Side = Callable[[Exchange], None]


class PipeRefused(ValueError):
    """The policies do not fit together, or a route's choice of them is not allowed."""


class Pipe(Struct, frozen=True):
    """down: in order. up[n]: what to call on the reply when n of them finished. end: at the end.

    still: what to ask of an exchange that lasts.
    """

    down: tuple[Callable[[Exchange], Any], ...]
    up: tuple[tuple[Side, ...], ...]
    end: tuple[Side, ...]
    still: tuple[Callable[[Exchange], bool], ...] = ()

    def walk(self, x: Exchange) -> Problem | Waiting | None:
        """Down the pipe; the first refusal stops it, and so does the first answer.

        A step that has to wait for something hands out what to wait for: then `go_on`.
        """
        for step in self.down:
            refusal: Problem | Waiting | None = step(x)
            if refusal is not None or x.answer is not None:
                x.finished = self.down.index(step) + (refusal is None)
                return refusal
        x.finished = len(self.down)
        return None

    async def go_on(self, x: Exchange, waited: Waiting) -> Problem | None:
        """Behind a step that waits."""
        refusal = await waited
        while refusal is None:
            x.finished += 1
            if x.over or x.answer is not None or x.finished == len(self.down):
                break
            told = self.down[x.finished](x)
            refusal = told if told is None or isinstance(told, Problem) else await told
        return refusal


def order(policies: Mapping[str, Policy]) -> tuple[str, ...]:
    """Names in the order they run."""
    names = tuple(sorted(policies, key=lambda name: (policies[name].stage, name)))
    known = set(BEFORE)
    for name in names:
        policy = policies[name]
        if missing := policy.reads - known:
            raise PipeRefused(f"{name} reads {sorted(missing)} before anyone writes it")
        if twice := policy.writes & known:
            raise PipeRefused(f"{name} writes {sorted(twice)}, which is written already")
        known |= policy.writes
    return names


def chosen(policies: Mapping[str, Policy], route: Route) -> dict[str, Policy]:
    """The policies of a route: those it names, and those that serve every route."""
    if not route.policies:
        raise PipeRefused(f"route {route.name} names no policies: it would let everybody in")
    if unknown := set(route.policies) - set(policies):
        raise PipeRefused(f"route {route.name} names unknown policies {sorted(unknown)}")
    if route.public == ("authenticate" in route.policies):
        raise PipeRefused(f"route {route.name} must either authenticate or say that it is public")
    if not route.public and "authorise" not in route.policies:
        raise PipeRefused(f"route {route.name} authenticates but never authorises")
    return {n: p for n, p in policies.items() if p.always or n in route.policies}


def examine(policies: Mapping[str, Policy], route: Route) -> None:
    """PipeRefused when a route could not be compiled: before anybody is given it."""
    mine = chosen(policies, route)
    order(mine)
    for name, policy in mine.items():
        _config(policy, name, route)


def pipe_of(policies: Mapping[str, Policy], tools: Tools) -> Pipe:
    """Compile for `tools.route`; None means a request that found no route."""
    route = tools.route
    if route is None:
        mine = {name: policy for name, policy in policies.items() if policy.always}
    else:
        mine = chosen(policies, route)
    down: list[Any] = []
    ups: list[Side] = []
    up_after: list[tuple[Side, ...]] = []
    end: list[Side] = []
    still: list[Callable[[Exchange], bool]] = []
    for name in order(mine):
        policy = mine[name]
        bound = policy.bind(_config(policy, name, route), tools)
        if (step := getattr(bound, "on_request", None)) is not None:
            up_after.append(tuple(reversed(ups)))
            down.append(step)
        if (back := getattr(bound, "on_response", None)) is not None:
            ups.append(back)
        if (last := getattr(bound, "on_end", None)) is not None:
            end.append(last)
        if (ask := getattr(bound, "still", None)) is not None:
            still.append(ask)
    up_after.append(tuple(reversed(ups)))
    return Pipe(tuple(down), tuple(up_after), tuple(end), tuple(still))


def _config(policy: Policy, name: str, route: Route | None) -> Struct:
    given = {} if route is None else route.policies.get(name, {})
    try:
        return msgspec.convert(given, policy.config, strict=True)
    except msgspec.ValidationError as error:
        where = "every request" if route is None else f"route {route.name}"
        raise PipeRefused(f"{where}, policy {name}: {error}") from error

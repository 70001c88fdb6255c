"""This file exists to tell an admin why a key would be turned away, without sending the request.

Owns   the tree of what the gateway asks of a request, in the order in which it asks. Synchronous;
       called inside a transaction.
Fails  never by itself; a key nobody knows is a branch of the tree.
"""

from ipaddress import ip_address, ip_network
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import Connection

from chassis import clock
from chassis.versions import head, versions
from gateway.control import key_store
from gateway.control.left import limits_of
from gateway.control.shapes import KeyView, Verdict, WhyDenied
from gateway.lifecycle import Life
from gateway.routes import Route, Table
from gateway.snapshot import Plan, Snapshot, scopes_of, within

Answer = Literal["yes", "no", "unknown"]


class Asked(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request as somebody described it. client: an address. scope: the one its tier asks for.

    version: what its header says, when it has one.
    """

    key_id: str
    method: str = "GET"
    path: str
    client: str = ""
    scope: str = ""
    version: str = ""


def why_denied(connection: Connection, asked: Asked, snapshot: Snapshot) -> WhyDenied:
    """Every question is answered, also after the first no: so that one look mends all."""
    key = key_store.find_key(connection, asked.key_id)
    path = asked.path.partition("?")[0]
    verdicts = [_host(snapshot)] if snapshot.hosts else []
    methods = Table((route, route) for route in snapshot.routes).find(path.encode()) or {}
    route = methods.get(asked.method.upper().encode())
    verdicts.append(_route(asked, path, route, tuple(method.decode() for method in methods)))
    if route is not None and route.public:
        verdicts.append(Verdict("key", "yes", f"the route {route.name} asks nobody who they are"))
        return _told(verdicts)
    verdicts.append(_key(asked, key))
    if key is not None:
        plan = _plan(key, snapshot)
        verdicts.append(_rights(asked, key, plan, route))
        if key.environment == "test" and route is not None:
            verdicts.append(_sandbox(route, snapshot))
        verdicts.append(_version(asked, key, plan, snapshot))
        verdicts.append(limits_of(connection, key, plan, route, snapshot))
    return _told(verdicts)


def _told(verdicts: list[Verdict]) -> WhyDenied:
    refusing = [verdict.name for verdict in verdicts if verdict.answer == "no"]
    if refusing:
        say = f"It would be refused: {', '.join(refusing)}."
    else:
        say = "It would be let in, as long as its limits are not used up."
    return WhyDenied(not refusing, say, tuple(verdicts))


def _host(snapshot: Snapshot) -> Verdict:
    return Verdict("host", "unknown", f"must be one of {', '.join(snapshot.hosts)}")


def _route(asked: Asked, path: str, route: Route | None, methods: tuple[str, ...]) -> Verdict:
    if route is not None:
        return Verdict(
            "route", "yes", f"{route.name} takes {asked.method.upper()} under {route.prefix}",
            (Verdict("upstream", "yes", route.upstream),
             Verdict("deadline", "unknown", f"{route.deadline_ms} ms to the head of the reply")),
        )  # fmt: skip
    if methods:
        return Verdict(
            "route", "no", f"{path} takes {', '.join(methods)}, not {asked.method.upper()}: 405"
        )
    return Verdict("route", "no", f"nothing is served at {path}: 404")


def _key(asked: Asked, key: KeyView | None) -> Verdict:
    if key is None:
        return Verdict("key", "no", f"there is no key {asked.key_id}: 401")
    below = []
    if key.state == "revoked":
        below.append(Verdict("state", "no", f"revoked at {_at(key.revoked_at)}"))
    elif key.state == "expired":
        below.append(Verdict("state", "no", f"ended at {_at(key.expires_at)}"))
    else:
        until = f"until {_at(key.expires_at)}" if key.expires_at else "without an end"
        below.append(Verdict("state", "yes", f"active {until}"))
    if key.networks:
        below.append(_network(asked.client, key.networks))
    return _branch("key", f"{key.display}… of {key.consumer}", below, "401")


def _network(client: str, networks: tuple[str, ...]) -> Verdict:
    allowed = ", ".join(networks)
    if not client:
        return Verdict("network", "unknown", f"must come from {allowed}")
    try:
        address = ip_address(client)
    except ValueError:
        return Verdict("network", "no", f"{client} is not an address")
    mapped = getattr(address, "ipv4_mapped", None) or address
    inside = any(mapped in ip_network(network) for network in networks)
    word: Answer = "yes" if inside else "no"
    return Verdict("network", word, f"{client} is {'' if inside else 'not '}in {allowed}")


def _rights(asked: Asked, key: KeyView, plan: Plan, route: Route | None) -> Verdict:
    granted = frozenset(plan.scopes)
    mine = scopes_of(key.scopes, plan)
    below = [Verdict("plan", "yes", f"{plan.name} holds {_listed(granted)}")]
    if lost := frozenset(key.scopes) - mine:
        below.append(
            Verdict("key scopes", "unknown", f"{_listed(lost)} count no more: not in the plan")
        )
    wanted = route.policies.get("authorise", {}).get("scope", "") if route is not None else ""
    if wanted:
        below.append(_scope("gateway scope", str(wanted), mine))
    if route is not None and plan.routes and wanted != "*":
        word: Answer = "yes" if route.name in plan.routes else "no"
        below.append(Verdict("plan routes", word, f"{plan.name} is for {', '.join(plan.routes)}"))
    if asked.scope:
        below.append(_scope("tier scope", asked.scope, mine))
    elif route is not None:
        say = "the tier asks for the operation's own scope; see its OpenAPI document"
        below.append(Verdict("tier scope", "unknown", say))
    return _branch("rights", f"the key may {_listed(mine)}", below, "403")


def _scope(name: str, wanted: str, mine: frozenset[str]) -> Verdict:
    if wanted == "*":
        holds, say = True, "any key"
    elif ":" in wanted:
        holds, say = within(wanted, mine), wanted
    else:
        holds = any(scope.startswith(f"{wanted}:") for scope in mine)
        say = f"any scope of {wanted}"
    return Verdict(name, "yes" if holds else "no", f"{say} is {'' if holds else 'not '}held")


def _sandbox(route: Route, snapshot: Snapshot) -> Verdict:
    """Where a test key goes instead."""
    upstream = next(one for one in snapshot.upstreams if one.name == route.upstream)
    if upstream.sandbox_origins:
        return Verdict("sandbox", "yes", f"goes to {', '.join(upstream.sandbox_origins)}")
    say = f"a test key, and the upstream {upstream.name} names no sandbox_origins: 403"
    return Verdict("sandbox", "no", say)


def _version(asked: Asked, key: KeyView, plan: Plan, snapshot: Snapshot) -> Verdict:
    """The same order as policies/version.py: header, pin, plan, head."""
    said = (
        (asked.version, "told"), (key.version, "the key's pin"),
        (plan.version_default, "the plan's"), (head(), "the newest"),
    )  # fmt: skip
    version, whose = next(each for each in said if each[0])
    if version not in versions():
        return Verdict("version", "no", f"{version} ({whose}) is no version: 400")
    life = next((life for life in snapshot.versions if life.version == version), Life(version))
    now_s = clock.now().timestamp()
    if life.ended(now_s):
        return Verdict("version", "no", f"{version} ({whose}) has ended: 410")
    if life.brownout(now_s) is not None:
        return Verdict("version", "no", f"{version} ({whose}) is switched off for a while: 503")
    return Verdict("version", "yes", f"{version} ({whose})")


def _plan(key: KeyView, snapshot: Snapshot) -> Plan:
    """A key that is dead may name a plan that is no longer subscribed to."""
    plans = next(one.plans for one in snapshot.consumers if one.name == key.consumer)
    held = {plan.name: plan for plan in snapshot.plans}
    return held.get(key.plan) or held[plans[0]]


def _branch(name: str, say: str, below: list[Verdict], status: str) -> Verdict:
    refused = any(verdict.answer == "no" for verdict in below)
    told = f"{say}: {status}" if refused else say
    return Verdict(name, "no" if refused else "yes", told, tuple(below))


def _listed(scopes: frozenset[str]) -> str:
    return " ".join(sorted(scopes)) or "nothing"


def _at(at: Any) -> str:
    moment = at or clock.now()
    return str(moment.strftime("%Y-%m-%d %H:%M UTC"))

"""This file exists to see from the command line what is used of limits, to reset and to raise them.

Owns   the words on the terminal; the work is the control plane's.
Fails  with the problem the control plane answered, and a status of 1.
"""

from datetime import timedelta
from typing import Any

import click

from firmwire.admin import CURSOR, JSON, LIMIT, REASON, at, group, more, print_json, run, table

PLAN = click.option("--plan", default="", help="One of its plans; the default when left out.")
quotas = group("quotas", "See what a consumer used of its limits; reset and raise them.")


@quotas.command()
@click.argument("consumer")
@JSON
@click.pass_obj
def show(url: str | None, consumer: str, as_json: bool) -> None:
    """The limits of CONSUMER on each of its plans, and what is used of its quotas."""
    seen = run(url, lambda c: c.quotas(consumer))
    if as_json:
        print_json(seen)
        return
    for one in seen:
        _shown(one, as_json)


@quotas.command()
@click.argument("consumer")
@click.option("--limit", default="", help="Its name; all of the plan when left out.")
@PLAN
@REASON
@JSON
@click.pass_obj
def reset(url: str | None, /, consumer: str, as_json: bool, **told: str) -> None:
    """Forget what was counted of CONSUMER, on every data plane within a second."""
    _shown(run(url, lambda c: c.reset_quota(consumer, **told)), as_json)


@quotas.command(name="raise")
@click.argument("consumer")
@click.argument("limit")
@click.argument("amount", type=click.IntRange(0))
@click.option("--hours", default=24.0, show_default=True,
              type=click.FloatRange(0, 2208, min_open=True), help="For how long.")  # fmt: skip
@PLAN
@REASON
@JSON
@click.pass_obj
def raise_(
    url: str | None,
    consumer: str,
    limit: str,
    amount: int,
    hours: float,
    plan: str,
    reason: str,
    as_json: bool,
) -> None:
    """Let CONSUMER have AMOUNT of LIMIT for a while; 0 ends it. The plan stays as it is."""
    from chassis import clock
    from gateway.control.shapes import QuotaRaise

    until = clock.now() + timedelta(hours=hours) if amount else None
    told = QuotaRaise(plan=plan, limit=limit, amount=amount, until=until, reason=reason)
    _shown(run(url, lambda c: c.raise_limit(consumer, told)), as_json)


def _shown(seen: Any, as_json: bool) -> None:
    if as_json:
        print_json(seen)
        return
    rows = [
        (
            one.name,
            one.says,
            "" if one.used is None else f"{one.used:,}",
            f"{one.raised_to:,} until {at(one.raised_until)}" if one.raised_to else "",
            one.resets or "",
        )
        for one in seen.limits
    ]
    click.echo(f"{seen.consumer} on the plan {seen.plan}:", err=True)
    columns = ("limit", "says", "used", "raised to", "resets")
    empty = "Its plan has no limits; those of the routes count."
    table(columns, rows, empty=empty, numbers=("used", "resets"))


@quotas.command()
@LIMIT
@CURSOR
@JSON
@click.pass_obj
def vendors(url: str | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """What each vendor grants us, what is left of it, and who waits for it or was refused."""
    # Here, not above: `--help` must not wait for an HTTP client.
    from gateway.control.vendors import VendorPage

    found = run(url, lambda c: c.ask("GET", "/vendors", VendorPage, limit=limit, cursor=cursor))
    if as_json:
        print_json(found)
        return
    for origin in found.away:
        click.echo(f"{origin} does not answer: its rows are missing.", err=True)
    columns = ("instance", "vendor", "told by", "left", "of", "at once", "waiting", "shed", "quiet")
    empty = "No vendor is connected: see `instances` of [system] in docs/operations.md."
    table(columns, [_row(one) for one in found.items], empty=empty, numbers=("left", "of"))
    more(found.next_cursor)


def _row(one: Any) -> tuple[str, ...]:
    quota = one.quota
    quiet = [
        f"{lane.lane} until {lane.quiet_until:%H:%M:%S}" for lane in quota.lanes if lane.quiet_until
    ]
    return (
        one.instance,
        one.vendor,
        f"vendor {at(quota.told_at)}" if quota.source == "VENDOR" else "configured",
        "" if quota.left is None else f"{quota.left:,}",
        f"{quota.per_window:,} in {quota.window_s:,} s" if quota.per_window else "",
        f"{quota.in_use} of {quota.concurrency or 'any'}",
        _by_lane(quota.lanes, "waiting"),
        _by_lane(quota.lanes, "shed"),
        ", ".join(quiet),
    )


def _by_lane(lanes: Any, what: str) -> str:
    """Only lanes with any."""
    found = ((lane.lane, getattr(lane, what)) for lane in lanes)
    return ", ".join(f"{name} {number:,}" for name, number in found if number)

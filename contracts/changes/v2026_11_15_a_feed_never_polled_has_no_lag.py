"""A feed that was never polled has no lag, instead of one of minus a second.

Before  {"stream": "projects", "lag_s": -1.0, "last_polled_at": null}
After   {"stream": "projects", "lag_s": null, "last_polled_at": null}
Why     Dashboards drew -1 as the freshest feed of all, and alerts on `lag_s > 300` never rang for
        the one that is not fed.
"""

from contracts.change import Body, Change, Reshape, Touch, each

_NEVER = -1.0


def _up(feed: Body) -> Body:
    return feed | {"lag_s": None} if feed["lag_s"] == _NEVER else feed


def _down(feed: Body) -> Body:
    return feed | {"lag_s": _NEVER} if feed["lag_s"] is None else feed


_FEEDS = each(Reshape(_up, _down))

CHANGE = Change(
    date="2026-11-15",
    tells="`lag_s` of a feed that was never polled is null instead of -1.",
    touches=(
        Touch(operation="GET /process/v1/master-data/streams", reply=_FEEDS),
        Touch(operation="POST /process/v1/master-data/sync", reply=_FEEDS),
    ),
)

"""Before anybody looks at a key: an address that sends too much is told to wait."""

from gateway.metering.limit import Limit
from gateway.metering.meters import Meters


async def test_guessing_keys_is_limited_by_address(gate, upstream):
    """Wrong keys cost 401 only so often; the address waits, whatever key it shows then."""
    gate.route = {
        "policies": {
            "authenticate": {}, "authorise": {"scope": "system"}, "meter": {},
            "address_rate": {"amount": 1, "window_s": 3600, "burst": 4},
        }
    }  # fmt: skip
    gate.publish()
    statuses = [(await gate.ask(key="fw_live_wrong")).status for _ in range(6)]
    assert statuses == [401] * 4 + [429] * 2
    refused = await gate.ask()
    assert (refused.status, refused.headers["ratelimit-policy"]) == (429, '"address";q=4;w=14400')
    assert upstream.seen == []


def test_made_up_identities_share_what_is_left(monkeypatch):
    """Memory is bounded, and there is no room to win by being somebody new every time."""
    from gateway.metering import meters as room

    monkeypatch.setattr(room, "GAUGES_MOST", 50)
    limit = Limit(name="a", kind="rate", amount=1, window_s=3600, burst=2, per=("address",))
    meters = Meters(lambda: 1000.0, lambda: 1.7e9)
    admitted = 0
    for number in range(500):
        (gauge,) = meters.bind((limit,), ("address", "r"), {"address": f"198.51.100.{number}"})
        for _ in range(2):
            if not gauge.wait(1, meters.now_ns()):
                gauge.take(1, meters.now_ns())
                admitted += 1
    assert len(meters._gauges) <= 51
    assert admitted <= 2 * 51


def test_idle_gauges_make_room_and_callers_are_bound_anew(monkeypatch):
    """What is full again means the same as nothing."""
    from gateway.metering import meters as room

    monkeypatch.setattr(room, "GAUGES_MOST", 50)
    now = [1000.0]
    limit = Limit(name="a", kind="rate", amount=10, per=("address",))
    meters = Meters(lambda: now[0], lambda: 1.7e9)
    version = meters.version
    for number in range(500):
        now[0] += 0.2
        (gauge,) = meters.bind((limit,), ("address", "r"), {"address": str(number)})
        gauge.take(1, meters.now_ns())
    assert len(meters._gauges) <= 50
    assert meters.version > version

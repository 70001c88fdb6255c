"""A limit says what it means, or which of its fields is wrong."""

import msgspec
import pytest

from gateway.metering.limit import Limit, raised, repeated


def rate(**more):
    return Limit(**{"name": "rate", "kind": "rate", "amount": 5, **more})


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": "quota"}, "period"),
        ({"period": "day"}, "period"),
        ({"kind": "quota", "period": "day", "burst": 3}, "burst"),
        ({"kind": "concurrency", "window_s": 60}, "window_s"),
        ({"amount": 2_000_000}, "amount"),
        ({"per": ["key", "key"]}, "per"),
        ({"per": []}, "per"),
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 1.5}, "amount"),
        ({"name": 'a";q=9'}, "name"),
        ({"when_store_down": "perhaps"}, "when_store_down"),
    ],
)
def test_a_wrong_limit_names_its_field(given, field):
    """Whoever wrote the file finds the line."""
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert({"name": "rate", "kind": "rate", "amount": 5, **given}, Limit)


def test_a_limit_survives_json_without_what_is_not_said():
    """What lies in the database is what somebody wrote."""
    plain = msgspec.to_builtins(rate(burst=9, per=("consumer", "route")))
    expected = {"name": "rate", "kind": "rate", "amount": 5, "burst": 9,
                "per": ("consumer", "route")}  # fmt: skip
    assert expected == plain
    assert msgspec.json.decode(msgspec.json.encode(plain), type=Limit).burst == 9


def test_a_raise_keeps_the_shape_of_the_burst():
    """Twice the amount, twice the burst; without a burst of its own there is none to keep."""
    found = [(one.amount, one.most) for one in (raised(rate(burst=2), 10), raised(rate(), 7))]
    assert found == [(10, 4), (7, 7)]
    assert (repeated((rate(), rate())), repeated((rate(),))) == ("rate", "")

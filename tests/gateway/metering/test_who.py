"""Whose requests are counted together: nobody meets another by a name, nobody rotates away."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.metering.who import hash_input, key_of, subscriber

PARTS = st.lists(st.text(alphabet="a/:1|0", max_size=4), max_size=4)


@given(PARTS, PARTS)
def test_other_parts_are_another_key(one, other):
    """Separators inside a name mean nothing: `a/b`, `c` is not `a`, `b/c`."""
    assert (key_of(one) == key_of(other)) == (one == other)
    assert (hash_input(one) == hash_input(other)) == (one == other)


def test_an_address_is_what_one_subscriber_has():
    """A /64 is one subscriber, and an IPv4 address stays itself however it is written."""
    found = [
        subscriber(address)
        for address in (
            "192.0.2.7", "::ffff:192.0.2.7", "2001:db8:1:2::1", "2001:db8:1:2:ffff::9",
            "2001:db8:1:3::1", "fe80::1%eth0", "local",
        )
    ]  # fmt: skip
    assert found == [
        "192.0.2.7", "192.0.2.7", "2001:db8:1:2::/64", "2001:db8:1:2::/64",
        "2001:db8:1:3::/64", "fe80::/64", "local",
    ]  # fmt: skip

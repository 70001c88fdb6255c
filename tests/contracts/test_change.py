"""Reshapes are pure, leave what they do not know, and are walked in the order of their dates."""

import pytest

from chassis import versions
from contracts.change import FIRST, Change, Reshape, Touch, each, member, renamed

PLACE = "POST /process/v1/orders"


def test_a_renamed_member_keeps_its_place():
    """A reply walked down is the same bytes as it was before the change."""
    shape = renamed("owner", "desk")
    old = {"id": 1, "owner": "PMO", "items": 2}
    assert list(shape.up(old)) == ["id", "desk", "items"]
    assert shape.down(shape.up(old)) == old
    assert list(shape.down(shape.up(old))) == list(old)
    assert old == {"id": 1, "owner": "PMO", "items": 2}


@pytest.mark.parametrize("body", [None, 7, "text", [], [{"owner": 1}], {}, {"id": 1}])
def test_what_a_reshape_does_not_know_is_left(body):
    """A body of another form goes on, and is refused by whoever takes it."""
    shape = renamed("owner", "desk")
    assert (shape.up(body), shape.down(body)) == (body, body)
    deep = member("rows", each(renamed("owner", "desk")))
    assert (deep.up(body), deep.down(body)) == (body, body)


def test_a_body_with_both_names_is_left_to_be_refused():
    """Nobody guesses which of the two was meant."""
    both = {"owner": "PMO", "desk": "HR"}
    assert renamed("owner", "desk").up(both) == both


def test_deep_inside():
    """Lists and members; null is no body to reshape."""
    deep = member("rows", each(renamed("owner", "desk")))
    assert deep.up({"rows": [{"owner": 1}, {"owner": 2}], "n": 2}) == {
        "rows": [{"desk": 1}, {"desk": 2}], "n": 2,
    }  # fmt: skip
    assert deep.up({"rows": None}) == {"rows": None}


def _says(date: str, word: str, **more) -> Change:
    add = Reshape(lambda body: [*body, word], lambda body: [*body, f"-{word}"])
    touch = Touch(operation=PLACE, request=add, reply=add, pointers={f"/{word}": "/old"})
    return Change(date=date, tells=word, touches=(touch,), **more)


def test_requests_go_up_oldest_first_and_replies_down_newest_first():
    """From the version asked for, not including the change that began it."""
    known = (_says("2027-01-01", "a"), _says("2027-02-01", "b"), _says("2027-03-01", "c"))

    def told(version):
        walk = versions.walks(version, known).get(PLACE, versions.Walk())
        up, down = [], []
        for turn in walk.up:
            up = turn(up)
        for turn in walk.down:
            down = turn(down)
        return up, down, [list(p) for p in walk.pointers]

    assert told(FIRST) == (["a", "b", "c"], ["-c", "-b", "-a"], [["/c"], ["/b"], ["/a"]])
    assert told("2027-01-01") == (["b", "c"], ["-c", "-b"], [["/c"], ["/b"]])
    assert told("2027-03-01") == ([], [], [])


def test_versions_are_the_first_and_every_date_of_a_change():
    """Sorted; head is the last; at head nothing is to be walked."""
    found = versions.versions()
    assert found == tuple(sorted({FIRST, *(change.date for change in versions.changes())}))
    assert found[-1] == versions.head()
    assert versions.walks(versions.head()) == {}
    assert all(versions.walks(version) for version in found[:-1])

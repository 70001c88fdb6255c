"""A cookie is somebody for as long as it should be, and not a moment longer."""

from datetime import timedelta

import pytest

from chassis import clock
from gateway.identity import sessions
from gateway.identity.roles import Admin


@pytest.fixture
def at(monkeypatch):
    """`at(hours=1)`: the clock stands that much later."""
    start = clock.now()

    def later(**by: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: start + timedelta(**by))

    return later


def who(database, cookie: str) -> Admin | None:
    with database.reading() as connection:
        return sessions.admin_of(connection, cookie=cookie)


def opened(database, **whose: str) -> sessions.Opened:
    with database.transaction() as connection:
        return sessions.begin(connection, **whose)


def test_a_session_is_a_person_until_it_ends(database, add_person):
    """Signed out is nobody, at once; a wrong cookie never was anybody."""
    made = opened(database, person_id=add_person("kim"))
    found = who(database, made.cookie)
    assert (found.name, found.role, found.csrf) == ("kim", "operator", made.csrf)
    assert who(database, made.cookie + "x") is None
    with database.transaction() as connection:
        sessions.end(connection, made.cookie)
    assert who(database, made.cookie) is None


def test_idle_and_old_sessions_are_over(database, add_person, at):
    """An hour without a request; twelve hours whatever happens."""
    made = opened(database, person_id=add_person("kim"))
    for minutes in range(50, 12 * 60, 50):
        at(minutes=minutes)
        assert who(database, made.cookie) is not None
        with database.transaction() as connection:
            assert sessions.due(connection, made.cookie)
            sessions.touch(connection, made.cookie)
            assert not sessions.due(connection, made.cookie)
    at(hours=12, minutes=1)
    assert who(database, made.cookie) is None
    other = opened(database, person_id=add_person("lee"))
    at(hours=13, minutes=2)
    assert who(database, other.cookie) is None


def test_all_sessions_of_a_person_end_together(database, add_person):
    """A changed password leaves no old browser signed in."""
    kim = add_person("kim")
    first, second = opened(database, person_id=kim), opened(database, person_id=kim)
    with database.transaction() as connection:
        sessions.end_all(connection, kim)
    assert (who(database, first.cookie), who(database, second.cookie)) == (None, None)


def test_tokens_are_admins_with_a_role_until_they_expire(database, add_token):
    """A token of a scoped role stays scoped; a session begun with it ends with it."""
    id = add_token("one", "support")
    add_token("two", "admin", expires_ms=1)
    add_token("three", "admin", revoked_ms=1)
    with database.reading() as connection:
        found = [sessions.admin_of(connection, bearer=b) for b in ("one", "two", "three", "none")]
    assert found == [Admin(id, id, "support"), None, None, None]
    made = opened(database, token_id=id)
    assert who(database, made.cookie).role == "support"


def test_a_form_must_send_back_its_own_token():
    """A cookie alone changes nothing; a bearer token is never sent by a browser by itself."""
    admin = Admin("p", "kim", "admin", csrf="right")
    assert [sessions.csrf_holds(admin, given) for given in ("right", "wrong", "")] == [
        True, False, False,
    ]  # fmt: skip
    assert sessions.csrf_holds(Admin("t", "t", "admin"), "")

"""Pages of other sites: who is told yes, and that a preflight asks nobody behind us."""

import msgspec
import pytest

from gateway.routes import tier_routes

PAGE = "https://portal.example"


@pytest.fixture
async def shared(gate):
    """The route may be called from one page."""
    policies = dict(tier_routes()[0].policies)
    gate.route = {"policies": {**policies, "cors": {"origins": [PAGE], "max_age_s": 60}}}
    gate.publish()
    return gate


async def test_a_preflight_is_answered_here_without_a_key(shared, upstream):
    """A browser sends none; nobody upstream is asked."""
    answered = await shared.ask(
        "OPTIONS", key=None, Origin=PAGE, Access_Control_Request_Method="POST"
    )
    assert answered.status == 204
    assert answered.headers["access-control-allow-origin"] == PAGE
    assert "POST" in answered.headers["access-control-allow-methods"]
    assert "authorization" in answered.headers["access-control-allow-headers"]
    assert answered.headers["access-control-max-age"] == "60"
    assert upstream.seen == []


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "https://portal.example.evil.example", "http://portal.example", "null",
     "https://PORTAL.example", f"{PAGE}, https://evil.example"],
)  # fmt: skip
async def test_another_page_is_never_told_yes(shared, upstream, origin):
    """Whole origins are compared, not their beginnings."""
    preflight = await shared.ask(
        "OPTIONS", key=None, Origin=origin, Access_Control_Request_Method="POST"
    )
    real = await shared.ask(Origin=origin)
    for answered in (preflight, real):
        assert "access-control-allow-origin" not in answered.headers
        assert "access-control-allow-methods" not in answered.headers
        assert answered.headers["vary"] == "origin"


async def test_a_page_can_read_replies_and_refusals(shared):
    """A refusal it may not read would look like a broken network."""
    fine, refused = await shared.ask(Origin=PAGE), await shared.ask(key=None, Origin=PAGE)
    assert (fine.status, refused.status) == (200, 401)
    for answered in (fine, refused):
        assert answered.headers["access-control-allow-origin"] == PAGE
        assert "retry-after" in answered.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answered.headers


async def test_options_that_are_no_preflight_need_a_key(shared):
    """Only the two headers together make a preflight."""
    assert (await shared.ask("OPTIONS", key=None, Origin=PAGE)).status == 401


async def test_a_plan_may_be_for_pages_of_one_site_only(shared, upstream):
    """Another page that holds the key is refused; so is nobody who calls without a browser."""
    shared.plan = msgspec.structs.replace(shared.plan, origins=("https://other.example",))
    shared.publish()
    refused = await shared.ask(Origin=PAGE)
    assert (refused.status, refused.problem) == (403, "forbidden")
    assert refused.headers["access-control-allow-origin"] == PAGE
    assert (await shared.ask()).status == 200
    shared.plan = msgspec.structs.replace(shared.plan, origins=(PAGE,))
    shared.publish()
    assert (await shared.ask(Origin=PAGE)).status == 200
    assert len(upstream.seen) == 2
    assert (await shared.ask(Origin="http://gateway.test")).status == 200  # a page of ours

"""A real Tryton for the tests that ask for one: built once a machine, a fresh database a module."""

import os

import pytest

from chassis.settings import Secret
from sandbox.servers.launch import Died, Missing
from system_apis.vendors.tryton.connector import Settings, Tryton


@pytest.fixture(scope="session")
def server():
    """Skipped where nobody has built one and FIRMWIRE_TEST_REAL_ERP does not ask for it."""
    from sandbox.servers import tryton

    if not _ready() and not os.environ.get("FIRMWIRE_TEST_REAL_ERP"):
        pytest.skip("python -m sandbox.servers.tryton build, or FIRMWIRE_TEST_REAL_ERP=1")
    try:
        with tryton.tryton() as serving:
            yield serving
    except (Missing, Died) as trouble:
        pytest.skip(str(trouble).splitlines()[0])


def _ready():
    from sandbox.servers import tryton

    return any(tryton.cache().glob("**/*.dump"))


@pytest.fixture(scope="module")
def erp(server):
    return server.fresh()


@pytest.fixture(scope="module")
def admin(erp):
    """Tryton's own client, a second witness."""
    session = erp.admin()
    yield session
    session.close()


@pytest.fixture
def opened(erp):
    """Makes connectors; settings may be changed."""
    return lambda **changed: Tryton(
        Settings(
            **{
                "base_url": erp.url, "database": erp.database, "user": erp.user,
                "password": Secret(erp.passwords.user), "legal_entity": "LE-DE",
            }
            | changed
        ),
        "tryton",
    )  # fmt: skip


@pytest.fixture
async def connector(opened):
    made = opened()
    yield made
    await made.aclose()

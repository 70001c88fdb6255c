"""Our connector to the real Tryton of the folders above."""

import pytest

from chassis.settings import Secret
from system_apis.vendors.tryton.connector import Settings, Tryton


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

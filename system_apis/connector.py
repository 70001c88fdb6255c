"""The shape of a vendor connector: what a folder under vendors/ exports as CONNECTOR."""

from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct

from system_apis.allowance import Allowance


class Opened(Protocol):
    """A running connector: an object that implements the ports it provides."""

    allowance: Allowance

    async def aclose(self) -> None:
        """Let go of the vendor's connections."""
        ...


class Connector(Struct, frozen=True, kw_only=True):
    """provides: ports by the name they are served under (`erp`, `psa`, ...).

    settings: struct with `base_url` and the vendor's credentials as chassis Secret; `instance`
    (the name in every Ref) is passed to open. open: settings, instance -> the running connector,
    which implements every provided port (one object).
    """

    vendor: str
    provides: dict[str, type]
    settings: type[Struct]
    open: Callable[[Any, str], Opened]

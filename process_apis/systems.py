"""Hand out the ports of vendor systems as clients of the system tier, each made when first used."""

from typing import Any, TypeVar, cast

from typing_extensions import TypeForm

from chassis import call
from chassis.identity import Signer
from chassis.limiter import Limits

T = TypeVar("T")

PREFIX = "/system/v1"


class Systems:
    """Clients of one system tier. connections: at once, for each port of each instance."""

    def __init__(self, base_url: str, signer: Signer, *, connections: int = 64) -> None:
        self._base_url = base_url
        self._signer = signer
        self._limits = Limits(concurrency=connections)
        self._made: dict[tuple[str, str], Any] = {}

    def port(self, kind: TypeForm[T], instance: str) -> T:
        """A client of `/system/v1/<instance>/<port>`. Absent instances answer NOT_FOUND."""
        name = cast(type, kind).__name__.lower()
        made = self._made.get((instance, name))
        if made is None:
            made = call.client(
                kind, self._base_url, signer=self._signer,
                prefix=f"{PREFIX}/{instance}/{name}", limits=self._limits,
            )  # fmt: skip
            self._made[instance, name] = made
        return cast(T, made)

    async def aclose(self) -> None:
        """Close every client."""
        made, self._made = list(self._made.values()), {}
        await call.close(*made)

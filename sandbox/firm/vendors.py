"""Where the firm's records go: rows for a vendor's store, and the ids the vendor gives them.

What our codes look like inside each vendor's records is the tenant's configuration; the vendor
folders' README.md say the same from the connector's side.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from sandbox.firm.model import Firm
from system_apis.simulator import Row


class Rows(Struct):
    """by_kind: documents of one vendor. A seeder writes the kinds in order."""

    by_kind: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, kind: str, id: str, doc: dict[str, Any], *, unique: str | None = None) -> None:
        """One more document; empty values are left out, as the vendors do."""
        kept = {name: value for name, value in doc.items() if value is not None}
        self.by_kind.setdefault(kind, []).append(Row(id, kept, unique))


class Ids:
    """Ids handed out once a code, in the order asked. form: number to the vendor's id."""

    def __init__(self, form: Callable[[int], str] = str, start: int = 1) -> None:
        self._form = form
        self._next = start
        self._given: dict[str, str] = {}

    def __getitem__(self, code: str) -> str:
        if code not in self._given:
            self._given[code] = self._form(self._next)
            self._next += 1
        return self._given[code]

    def known(self, code: str) -> bool:
        """Whether this code has an id already."""
        return code in self._given


Load = Callable[[Firm], Rows]

"""Puts every vendor's simulator behind one address, with a door for faults and truth checks.

Owns: the vendors' houses, mounted under /<vendor>, and /_sandbox. State is in home/sandbox/.
Fails: KeyError on an unknown vendor; discovery's NotAPlug on a broken simulator.

    GET    /_sandbox                                 vendors, their documents, the faults there are
    GET    /_sandbox/{vendor}/faults                 the schedule, with matches and strikes
    PUT    /_sandbox/{vendor}/faults                 JSON list of rules; [] ends all misfortune
    GET    /_sandbox/{vendor}/calls                  counters by method, path template and outcome
    DELETE /_sandbox/{vendor}/calls                  start counting anew
    GET    /_sandbox/{vendor}/documents/{kind}       the raw truth; ?limit= &offset= &deleted=true
    POST   /_sandbox/{vendor}/documents/{kind}       JSON list of {id, doc, unique?, updated_at?}
"""

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from chassis import clock, discovery
from sandbox.faults import COMMON, BadRule, Rule
from sandbox.vendor import Scope, VendorHouse, read_body, send_reply
from system_apis.simulator import Receive, Reply, Row, Send, Simulator, Taken

SOCKET = "system_apis.vendors"
ADMIN = "_sandbox"


class Sandbox:
    """The ASGI app. `houses[vendor].store` is the seeder's way in."""

    def __init__(self, home: Path, simulators: Iterable[Simulator], seed: int) -> None:
        self.houses = {
            simulator.vendor: VendorHouse(
                simulator, home / "sandbox" / f"{simulator.vendor}.sqlite", clock.now, seed
            )
            for simulator in simulators
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to the vendor its first path segment names."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        first = scope["path"].split("/", 2)[1]
        house = self.houses.get(first)
        if house:
            scope["root_path"] = f"{scope.get('root_path', '')}/{first}"
            await house(scope, receive, send)
        elif first == ADMIN:
            await send_reply(send, self._admin(scope, await read_body(receive)))
        else:
            await send_reply(send, _said(404, f"no vendor {first!r}; there are {[*self.houses]}"))

    async def close(self) -> None:
        """Commit what is late and let go of the files."""
        for house in self.houses.values():
            await house.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})

    def _admin(self, scope: Scope, body: bytes) -> Reply:
        parts = [part for part in scope["path"].split("/") if part][1:]
        try:
            if not parts:
                return _json(self._overview())
            house = self.houses[parts[0]]
            query = dict(_pairs(scope["query_string"].decode()))
            match scope["method"], parts[1:]:
                case "GET", ["faults"]:
                    return _json(house.faults())
                case "PUT", ["faults"]:
                    house.schedule.set(msgspec.json.decode(body, type=list[Rule]))
                    return _json(house.faults())
                case "GET", ["calls"]:
                    return _json(house.counted())
                case "DELETE", ["calls"]:
                    house.calls.clear()
                    return Reply(204)
                case "GET", ["documents", kind]:
                    return _json(_documents(house, kind, query))
                case "POST", ["documents", kind]:
                    rows = msgspec.json.decode(body, type=list[Row])
                    return _json({"written": house.store.bulk_put(kind, rows)})
        except KeyError:
            return _said(404, f"no vendor {parts[0]!r}; there are {[*self.houses]}")
        except (msgspec.DecodeError, BadRule, ValueError) as error:
            return _said(400, str(error))
        except Taken as error:
            return _said(409, str(error))
        return _said(404, "no such door")

    def _overview(self) -> dict[str, Any]:
        vendors = {name: house.store.kinds() for name, house in self.houses.items()}
        return {"vendors": vendors, "faults": COMMON}


def create(home: Path, *, seed: int = 7, vendors: Iterable[str] | None = None) -> Sandbox:
    """The sandbox over home/sandbox/*.sqlite. vendors: only these folders; None finds all."""
    if vendors is None:
        found = discovery.plugs(SOCKET, "SIMULATOR", Simulator, part="simulator")
        return Sandbox(home, found.values(), seed)
    modules = [importlib.import_module(f"{SOCKET}.{name}.simulator") for name in vendors]
    return Sandbox(home, [module.SIMULATOR for module in modules], seed)


def _documents(house: VendorHouse, kind: str, query: dict[str, str]) -> dict[str, Any]:
    limit, offset = int(query.get("limit", "1000")), int(query.get("offset", "0"))
    total, page = house.store.raw(kind, limit, offset, query.get("deleted") == "true")
    return {"total": total, "documents": page}


def _pairs(query: str) -> Iterable[tuple[str, str]]:
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        yield name, value


def _json(body: Any) -> Reply:
    return Reply(200, msgspec.json.encode(body), {"content-type": "application/json"})


def _said(status: int, words: str) -> Reply:
    return Reply(status, words.encode(), {"content-type": "text/plain; charset=utf-8"})

"""This file exists to approve a month of time as a project office would: in the PSA's own API.

Owns   one connection to the simulated PSA. It speaks the vendor's language, not ours.
Fails  RuntimeError with the vendor's words.
"""

from collections.abc import Callable
from typing import Any

from chassis.outbound import Outbound
from sandbox.firm.into_kantata import CLIENT_ID

API = "/api/v1"


class PsaDesk:
    """base_url: of the simulated Kantata. secret: of its API client, whose user approves."""

    def __init__(self, base_url: str, secret: str) -> None:
        self._door = Outbound(base_url, peer="psa-desk")
        self._secret = secret
        self._headers: dict[str, str] = {}

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._door.aclose()

    async def approve_all(self, done: Callable[[int, int], None]) -> int:
        """Approve every pending submission, one call each; returns the entries approved."""
        await self._login()
        waiting = await self._pending()
        entries = 0
        for number, (id, count) in enumerate(waiting, start=1):
            await self._send("PUT", f"{API}/timesheet_submissions/{id}/approve", {})
            entries += count
            done(number, len(waiting))
        return entries

    async def _pending(self) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        page, pages = 1, 1
        while page <= pages:
            path = f"{API}/timesheet_submissions?page={page}&per_page=200&include=time_entries"
            body = await self._send("GET", path, None)
            pages = body["meta"]["page_count"]
            for result in body["results"]:
                row = body["timesheet_submissions"][result["id"]]
                if row["status"] == "pending":
                    found.append((result["id"], len(row.get("time_entry_ids") or ())))
            page += 1
        return found

    async def _login(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": self._secret,
        }
        reply = await self._door.send("POST", "/oauth/token", form=form)
        token = reply.json(dict[str, Any])["access_token"]
        self._headers = {"authorization": f"Bearer {token}"}

    async def _send(self, method: str, path: str, json: Any) -> dict[str, Any]:
        reply = await self._door.send(method, path, json=json, headers=self._headers)
        if not reply.ok:
            raise RuntimeError(f"the PSA answered {reply.status}: {reply.body[:300]!r}")
        return reply.json(dict[str, Any])

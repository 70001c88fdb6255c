"""This file exists to hold a Tryton session: one login, used by every call until it is refused.

Source  trytond 8.2: common.db.login gives a user's id and a token; the header is
        `Session base64(login:id:token)`; an ended session is a 401.
"""

from base64 import b64encode
from collections.abc import Mapping

from chassis.outbound import Outbound, Outgoing
from chassis.settings import Secret
from contracts.problem import Fault, Problem, Vendor
from system_apis.tokens import Token, Tokens
from system_apis.vendors.tryton import wire

_FAULTS = {401: Fault.VENDOR_AUTH, 404: Fault.VENDOR_AUTH, 429: Fault.VENDOR_THROTTLED}


class Sessions:
    """Use `auth` and `refused` as an Outbound's hooks."""

    def __init__(
        self, door: Outbound, instance: str, database: str, user: str, password: Secret
    ) -> None:
        self._door, self._instance, self._path = door, instance, f"/{database}/rpc/"
        self._user, self._password = user, password
        self._tokens = Tokens(self._login)
        self.refused = self._tokens.refused

    async def auth(self, call: Outgoing) -> Mapping[str, str]:
        """The Authorization header, after a login when there is no session."""
        header = await self._tokens.auth(call)
        return {"authorization": header["authorization"].replace("Bearer", "Session", 1)}

    async def _login(self) -> Token:
        """A refused login is never sent again: Tryton locks out who tries too often."""
        params = [self._user, {"password": self._password.reveal()}, "en"]
        body = {"id": 0, "method": "common.db.login", "params": params}
        reply = await self._door.send("POST", self._path, json=body, safe=False)
        answer = wire.undressed(reply.body) if reply.ok else {}
        if not answer.get("result"):
            fault = _FAULTS.get(reply.status, Fault.VENDOR_AUTH if reply.ok else Fault.VENDOR_DOWN)
            raise Problem(
                fault,
                f"{self._instance}: the login was refused.",
                because=f"{reply.status} {reply.body[:200]!r}",
                retry_after_s=reply.retry_after_s(),
                vendor=Vendor(system=self._instance, status=reply.status),
            )
        id, token = answer["result"][:2]
        return Token(b64encode(f"{self._user}:{id}:{token}".encode()).decode())

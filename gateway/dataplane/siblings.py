"""This file exists to answer for all workers of a gateway whichever of them is asked.

Owns   a Unix socket for each worker in a folder only the gateway's user can read, and the adding
       up of what the workers tell.
Fails  never: a worker that does not answer in time is left out, and counted as not answering.
Source Prometheus text exposition format 0.0.4.
"""

import asyncio
from pathlib import Path

from gateway.policy import Share

_WAIT_S = 1.0
_SMALLEST = frozenset({"firmwire_gateway_snapshot_version"})

Answer = tuple[int, bytes]


class Siblings:
    """The other workers of this gateway."""

    def __init__(self, folder: Path, share: Share) -> None:
        self._folder = folder
        self.share = share

    @property
    def own(self) -> str:
        """Where this worker answers its siblings."""
        return self._socket(self.share.index)

    async def merged(self, path: bytes, mine: Answer) -> Answer:
        """What all workers say to /ready or /metrics; anything else is answered by one."""
        if path not in (b"/ready", b"/metrics"):
            return mine
        others = [i for i in range(self.share.count) if i != self.share.index]
        asked = await asyncio.gather(*(self._ask(index, path) for index in others))
        heard = [mine, *(answer for answer in asked if answer is not None)]
        if path == b"/ready":
            return ready(heard, self.share.count)
        texts = [body for status, body in heard if status == 200]
        told = f"# TYPE firmwire_gateway_workers gauge\nfirmwire_gateway_workers {len(texts)}\n"
        return 200, added(texts) + told.encode()

    async def _ask(self, index: int, path: bytes) -> Answer | None:
        try:
            async with asyncio.timeout(_WAIT_S):
                reader, writer = await asyncio.open_unix_connection(self._socket(index))
                try:
                    writer.write(b"GET %b HTTP/1.1\r\nhost: sibling\r\n\r\n" % path)
                    head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
                finally:
                    writer.close()
            return int(head.split(b" ", 2)[1]), body
        except (OSError, ValueError, IndexError):  # TimeoutError is an OSError
            return None

    def _socket(self, index: int) -> str:
        return str(self._folder / f"{index}.sock")


def ready(heard: list[Answer], count: int) -> Answer:
    """Ready when one is: connections go to workers that listen, and only ready ones do for long."""
    well = [body for status, body in heard if status == 200]
    first = min(well, default=heard[0][1])
    return (200 if well else 503), first + b"workers ready: %d of %d\n" % (len(well), count)


def added(texts: list[bytes]) -> bytes:
    """One exposition of several: samples of the same name and labels are added up."""
    families: dict[str, dict[str, float]] = {}
    for text in texts:
        family: dict[str, float] = {}
        for line in text.decode().splitlines():
            if line.startswith("#"):
                family = families.setdefault(line, {})
                continue
            name, _, value = line.rpartition(" ")
            if not name:
                continue
            known, told = family.get(name), float(value)
            if known is None:
                family[name] = told
            else:
                family[name] = min(known, told) if name in _SMALLEST else known + told
    lines = []
    for comment, samples in families.items():
        lines.append(comment)
        lines += (f"{name} {_number(value)}" for name, value in samples.items())
    return ("\n".join(lines) + "\n").encode()


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)

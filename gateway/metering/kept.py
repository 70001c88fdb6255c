"""This file exists to keep what was used of calendar quotas beyond the life of a worker.

Owns   the folder `gateway/quotas` under the home folder: a folder named by the number of workers,
       in it a file a worker. Written twice a second and at the end, so that a worker that is
       killed has forgotten less than a second's worth. Quotas counted in Redis are not here.
Fails  never for callers: what cannot be written is logged and tried again; a file that cannot be
       read counts as empty and is logged.
"""

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec

from chassis import clock
from chassis.log import log
from gateway.keys import write_private
from gateway.metering.meters import Meters, Used
from gateway.policy import Share

_EVERY_S = 0.5
_LOG = log("gateway.quotas")


class Kept:
    """Of one worker."""

    def __init__(self, meters: Meters, folder: Path, share: Share) -> None:
        self._meters = meters
        self._file = folder / str(share.count) / str(share.index)
        self._written: Used = {}
        self._over = asyncio.Event()

    def begin(self) -> None:
        """Before anybody is served."""
        self._written = _read(self._file)
        self._meters.remember(self._written)

    async def run(self) -> None:
        """Until `end`; then once more."""
        over = False
        while not over:
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_S):
                    over = await self._over.wait()
            used = self._meters.used()
            if used != self._written:
                await asyncio.to_thread(self._write, used)

    def end(self) -> None:
        """After the last request."""
        self._over.set()

    def _write(self, used: Used) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(self._file, msgspec.msgpack.encode(used))
            self._written = used
        except OSError as error:
            _LOG.error("quotas.not_written", because=repr(error))


def share_out(folder: Path, workers: int) -> None:
    """Before workers are started: where they were another number, each gets its part of all."""
    mine = folder / str(workers)
    others = [one for one in _folders(folder) if one != mine]
    if not others:
        return
    if not mine.exists():
        newest = max(others, key=lambda one: one.stat().st_mtime_ns)
        part = folder / f".{workers}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        for index, used in enumerate(_parts(newest, workers)):
            write_private(part / str(index), msgspec.msgpack.encode(used))
        part.rename(mine)
    for one in others:
        shutil.rmtree(one, ignore_errors=True)


def _parts(folder: Path, workers: int) -> list[Used]:
    """Together at least as much as all of it."""
    total: Used = {}
    for file in folder.iterdir():
        for key, (begins_s, ends_s, used) in _read(file).items():
            before = total.get(key, (begins_s, ends_s, 0))
            if begins_s >= before[0]:
                so_far = before[2] if begins_s == before[0] else 0
                total[key] = (begins_s, ends_s, so_far + used)
    return [
        {
            key: (begins_s, ends_s, -(-used // workers))
            for key, (begins_s, ends_s, used) in total.items()
        }
    ] * workers


def _folders(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError):
        return [one for one in folder.iterdir() if one.name.isdigit()]
    return []


def _read(file: Path) -> Used:
    """What still counts."""
    try:
        found = msgspec.msgpack.decode(file.read_bytes(), type=Used)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        _LOG.error("quotas.not_read", file=file.name, because=repr(error))
        return {}
    now_s = clock.now().timestamp()
    return {key: row for key, row in found.items() if row[1] > now_s}

"""This file exists to be the gateway's two doors: the data plane and the control plane.

Owns   composition only. Both stop cleanly on SIGTERM and SIGINT.
Fails  at start: a port that is taken, a bad settings file, peppers that are too short.
"""

import asyncio
import gc
import signal
from pathlib import Path

import uvloop

from chassis import identity, settings
from chassis.discovery import plugs
from chassis.log import log
from gateway import tokens
from gateway.dataplane.access import LogFile
from gateway.dataplane.feed import Feed
from gateway.dataplane.internal import serve_internal
from gateway.dataplane.listeners import Tls
from gateway.dataplane.worker import Worker
from gateway.keys import peppers
from gateway.policy import Policy
from gateway.settings import ControlSettings, GatewaySettings
from gateway.snapshot import Shelf

_LOG = log("gateway")


def run_data_plane(given: GatewaySettings, home: Path | None = None) -> None:
    """Serve until SIGTERM. home: the installation's folder, by default chassis.settings.home()."""
    uvloop.run(serve_data_plane(given, home or settings.home()))


def run_control_plane(given: ControlSettings, home: Path | None = None) -> None:
    """Serve the admin API and snapshots until SIGTERM."""
    # Here, not above: a data-plane worker must not pay for Litestar and SQLAlchemy in memory.
    from chassis import server
    from gateway.control.app import control_plane

    server.run(control_plane(given, home or settings.home()), host=given.host, port=given.port)


async def serve_data_plane(given: GatewaySettings, home: Path) -> None:
    """The same inside a running loop."""
    identity.ensure(home)
    worker = Worker(
        limits=given.limits,
        peppers=peppers(home),
        signer=identity.Signer.of(home, "gateway"),
        policies=plugs("gateway.policies", "POLICY", Policy),
        access_log=LogFile(home / "log" / "gateway-access.jsonl"),
    )
    feed = Feed(
        worker,
        Shelf(home / "gateway" / "snapshot"),
        given.control_url,
        lambda: given.token.reveal() if given.token else tokens.data_plane(home),
    )
    feed.begin_from_disk()
    internal = await serve_internal(worker, given.internal_host, given.internal_port)
    port = await worker.listen(given.host, given.port, _tls(given))
    _LOG.info("gateway.listening", host=given.host, port=port)
    _spare_the_collector()
    asking = asyncio.create_task(feed.run())
    await _stopped(worker)
    _LOG.info("gateway.draining")
    asking.cancel()
    await worker.drain()
    internal.close()
    _LOG.info("gateway.stopped")


async def _stopped(worker: Worker) -> None:
    """Until SIGTERM or SIGINT; SIGHUP opens the access log and reads certificates anew."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: worker.spawn(worker.reload()))
    await stop.wait()


def _spare_the_collector() -> None:
    """What is there at start stays; exchanges are freed by counting, so look for cycles rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _tls(given: GatewaySettings) -> Tls | None:
    if not given.certificate:
        return None
    return Tls(
        certificate=given.certificate,
        private_key=given.private_key,
        client_ca=given.client_ca,
        revoked=given.client_revoked,
        client_certificates=given.client_certificates,
    )

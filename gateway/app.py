"""This file exists to be the gateway's two doors: the data plane and the control plane.

Owns   composition only. Both stop cleanly on SIGTERM and SIGINT.
Fails  at start: a port that is taken, a bad settings file, peppers that are too short.
"""

import asyncio
import gc
import signal
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import msgspec
import uvloop

from chassis import clock, identity, settings, spans
from chassis.discovery import plugs
from chassis.log import log
from chassis.store import Store
from gateway import tokens
from gateway.dataplane.access import LogFile
from gateway.dataplane.feed import Feed
from gateway.dataplane.internal import serve_internal
from gateway.dataplane.listeners import Tls
from gateway.dataplane.siblings import Siblings
from gateway.dataplane.worker import Worker
from gateway.dataplane.workers import Workers, reserve
from gateway.identity.proofs import Proofs
from gateway.keys import peppers
from gateway.metering.kept import Kept, share_out
from gateway.metering.shared import Shared
from gateway.policy import Policy, Share
from gateway.settings import ControlSettings, GatewaySettings
from gateway.snapshot import Shelf

_LOG = log("gateway")


def run_data_plane(given: GatewaySettings, home: Path | None = None) -> None:
    """Serve until SIGTERM. home: the installation's folder, by default chassis.settings.home()."""
    home = home or settings.home()
    share_out(home / "gateway" / "quotas", given.workers)
    if given.workers == 1:
        uvloop.run(serve_data_plane(given, home))
        return
    # What one worker would find out alone is found out before there are several.
    identity.ensure(home)
    peppers(home)
    if (tls := _tls(given)) is not None:
        tls.context()
    with ExitStack() as kept:
        port, public = reserve(given.host, given.port)
        internal_port, internal = reserve(given.internal_host, given.internal_port)
        for one in (*public, *internal):
            kept.enter_context(one)
        # Not under the home folder: the path of a Unix socket has 107 bytes.
        folder = Path(kept.enter_context(TemporaryDirectory(prefix="firmwire-gateway-")))
        given = msgspec.structs.replace(given, port=port, internal_port=internal_port)
        _spare_the_collector()
        work = partial(_be_worker, given, home, folder)
        Workers(given.workers, work, drain_s=given.limits.drain_s).run()


def _be_worker(
    given: GatewaySettings, home: Path, folder: Path, share: Share, lifeline: int
) -> None:
    uvloop.run(serve_data_plane(given, home, Siblings(folder, share), lifeline))


def run_control_plane(given: ControlSettings, home: Path | None = None) -> None:
    """Serve the admin API and snapshots until SIGTERM."""
    # Here, not above: a data-plane worker must not pay for Litestar and SQLAlchemy in memory.
    from chassis import server
    from gateway.control.app import control_plane

    server.run(control_plane(given, home or settings.home()), host=given.host, port=given.port)


async def serve_data_plane(
    given: GatewaySettings, home: Path, siblings: Siblings | None = None, lifeline: int = -1
) -> None:
    """The same inside a running loop. lifeline: a file that ends when the parent is gone."""
    identity.ensure(home)
    spans.configure("gateway")  # before the policies are bound, and never before a fork
    share = Share() if siblings is None else siblings.share
    worker = Worker(
        limits=given.limits,
        peppers=peppers(home),
        signer=identity.Signer.of(home, "gateway"),
        policies=plugs("gateway.policies", "POLICY", Policy),
        access_log=LogFile(home / "log" / "gateway-access.jsonl"),
        share=share,
        shared=_shared(given, siblings),
        trusted_hops=given.trusted_hops,
    )
    proofs = worker.memory("authenticate")["proofs"] = _proofs(given, home)
    feed = Feed(
        worker,
        Shelf(home / "gateway" / "snapshot"),
        given.control_url,
        lambda: given.token.reveal() if given.token else tokens.data_plane(home),
    )
    quotas = Kept(worker.meters, home / "gateway" / "quotas", share)
    quotas.begin()
    feed.begin_from_disk()
    internal = await serve_internal(worker, given.internal_host, given.internal_port, siblings)
    share_port = siblings is not None
    port = await worker.listen(given.host, given.port, _tls(given), share_port=share_port)
    _LOG.info("gateway.listening", host=given.host, port=port)
    _spare_the_collector()
    asking, keeping = (asyncio.create_task(one) for one in (feed.run(), quotas.run()))
    await _stopped(worker, lifeline)
    _LOG.info("gateway.draining")
    await worker.drain()
    await proofs.aclose()
    quotas.end()
    await asyncio.wait({keeping})
    asking.cancel()  # last: what the last exchanges used is still told
    await asyncio.wait({asking})
    internal.close()
    spans.switch_off()
    _LOG.info("gateway.stopped")


async def _stopped(worker: Worker, lifeline: int) -> None:
    """Until SIGTERM or SIGINT; SIGHUP opens the access log and reads certificates anew."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: worker.spawn(worker.reload()))
    if lifeline >= 0:
        loop.add_reader(lifeline, stop.set)
    await stop.wait()
    if lifeline >= 0:
        loop.remove_reader(lifeline)


def _spare_the_collector() -> None:
    """What is there at start stays; exchanges are freed by counting, so look for cycles rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _shared(given: GatewaySettings, siblings: Siblings | None) -> Shared | None:
    if not given.redis_url:
        return None
    workers = 1 if siblings is None else siblings.share.count
    return Shared(Store(given.redis_url), token_hex(8), clock.monotonic, workers)


def _proofs(given: GatewaySettings, home: Path) -> Proofs:
    store = Store(given.redis_url) if given.redis_url else None
    local = given.proofs_when_store_down == "local"
    return Proofs(home / "gateway" / "proofs", store, local=local)


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

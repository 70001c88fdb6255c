"""This file exists to run one process of the platform: what a container starts.

Owns   the names of the processes. Each is imported only when it is asked for.
Fails  with the settings that are wrong, all at once, and status 2; 1 when a port is taken.
"""

import importlib
import signal
import sys

import click

PROCESSES = {
    "control": "the admin API and the snapshots the gateway runs on",
    "experience": "views, pages and the read model",
    "gateway": "the public door",
    "process": "journeys, ledger, exception queue, billing",
    "sandbox": "the vendors' simulators with the demo firm",
    "system": "the connectors to vendor systems",
}
# The data plane passes traces on and makes ids for them, but is too hot a path for spans.
# The gateway begins to record in each of its workers; the sandbox plays vendors, who tell us none.
_OWN_SPANS = frozenset({"gateway", "sandbox"})


@click.command()
@click.argument("name", type=click.Choice(sorted(PROCESSES)))
def serve(name: str) -> None:
    """Run one process until SIGTERM. Settings come from FIRMWIRE_* and FIRMWIRE_SETTINGS_FILE.

    \b
    control     the admin API and the snapshots the gateway runs on
    experience  views, pages and the read model
    gateway     the public door
    process     journeys, ledger, exception queue, billing
    sandbox     the vendors' simulators with the demo firm
    system      the connectors to vendor systems
    """
    # Until the server listens to it. Told to end while it starts, it has nothing to finish.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from chassis.settings import BadSettings

    try:
        _run(name)
    except BadSettings as bad:
        click.echo(str(bad), err=True)
        sys.exit(2)
    except OSError as error:
        click.echo(f"{name} cannot start: {error}", err=True)
        sys.exit(1)


def _run(name: str) -> None:
    if name not in _OWN_SPANS:
        from chassis import spans

        spans.configure(name)
    if name == "gateway":
        from chassis import log, settings
        from gateway.app import run_data_plane
        from gateway.settings import GatewaySettings

        log.configure("gateway")
        run_data_plane(settings.load(GatewaySettings, "gateway"))
    elif name == "control":
        from chassis import log, settings
        from gateway.app import run_control_plane
        from gateway.settings import ControlSettings

        log.configure("control")
        run_control_plane(settings.load(ControlSettings, "control"))
    else:
        doors = {"sandbox": "sandbox.run"}
        importlib.import_module(doors.get(name, f"{name}_apis.app")).run()

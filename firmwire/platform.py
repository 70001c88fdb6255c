"""This file exists to say how the platform's processes fit together on one machine.

Owns   the ports, and the settings that follow from them: who finds whom where. What the operator
       set in the environment wins.
Fails  nothing by itself.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct, field

from chassis import identity
from firmwire.supervisor import Child, child_environment, free_ports, serve_command
from sandbox.firm import into_netsuite, into_salesforce, into_workday
from sandbox.firm.into_kantata import CLIENT_ID as KANTATA_CLIENT
from sandbox.firm.load import secrets_in

TIERS = ("control", "system", "process", "experience")
# Who calls others from its first moment on; the gateway has its own line below.
AFTER = {"process": ("sandbox", "system"), "experience": ("process",)}
# How many times longer than for a small firm things may take before somebody gives up.
PATIENCE = {"S": 1, "M": 4, "L": 12, "none": 1}
VENDORS = ("float", "kantata", "netsuite", "salesforce", "workday")


class Ports(Struct, frozen=True, kw_only=True):
    """Loopback ports. gateway is the public one; internal is the gateway's health and metrics."""

    gateway: int = 8080
    internal: int = 8081
    control: int = 8090
    system: int = 8101
    process: int = 8102
    experience: int = 8103
    sandbox: int = 8110

    @classmethod
    def chosen(cls) -> "Ports":
        """The defaults, or what FIRMWIRE_<SECTION>_PORT says."""
        told = {
            "gateway": "FIRMWIRE_GATEWAY_PORT",
            "internal": "FIRMWIRE_GATEWAY_INTERNAL_PORT",
            **{name: f"FIRMWIRE_{name.upper()}_PORT" for name in (*TIERS, "sandbox")},
        }
        return cls(**{name: int(os.environ[v]) for name, v in told.items() if v in os.environ})

    @classmethod
    def free(cls) -> "Ports":
        """Seven ports nobody uses now."""
        names = cls.__struct_fields__
        return cls(**dict(zip(names, free_ports(len(names)), strict=True)))


class Platform(Struct, frozen=True, kw_only=True):
    """One installation. with_sandbox: the vendors' simulators are part of it, and are connected.

    more: settings of its own, e.g. the instances when there is no sandbox.
    """

    home: Path
    ports: Ports
    with_sandbox: bool = True
    size: str = "S"
    seed: int = 7
    more: dict[str, str] = field(default_factory=dict)

    @property
    def gateway_url(self) -> str:
        """Where partners call."""
        return f"http://127.0.0.1:{self.ports.gateway}"

    @property
    def control_url(self) -> str:
        """Where admins call."""
        return f"http://127.0.0.1:{self.ports.control}"

    @property
    def page_url(self) -> str:
        """The operations page; a browser gives an API key as password."""
        return f"{self.gateway_url}/experience/v1/pages/operations"

    @property
    def sandbox_url(self) -> str:
        """Where the vendors' simulators are."""
        return f"http://127.0.0.1:{self.ports.sandbox}"

    def prepare(self) -> None:
        """Make the home folder, the identity keys and the sandbox's secrets; may be repeated."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        identity.ensure(self.home)
        if self.with_sandbox:
            secrets_in(self.home)

    def children(self) -> tuple[Child, ...]:
        """In the order they start; each finds those before it."""
        ports = self.ports
        first = [_child("sandbox", ports.sandbox, "/_sandbox")] if self.with_sandbox else []
        here = {*TIERS, *(child.name for child in first)}
        rest = [
            _child(name, getattr(ports, name), after=tuple(here.intersection(AFTER.get(name, ()))))
            for name in TIERS
        ]
        gateway = Child(
            name="gateway",
            command=serve_command("gateway"),
            port=ports.internal,
            also=(ports.gateway,),
            after=("control",),
        )
        return (*first, *rest, gateway)

    def environment(self) -> dict[str, str]:
        """For every child; each reads only its own section."""
        told = _wiring(self.ports)
        if self.with_sandbox:
            told |= self._sandbox_wiring()
        own = {name: value for name, value in os.environ.items() if name.startswith("FIRMWIRE_")}
        return child_environment(str(self.home), told | self.more | own)

    def _sandbox_wiring(self) -> Mapping[str, str]:
        own, url = secrets_in(self.home), self.sandbox_url
        instances = {vendor: vendor for vendor in VENDORS}
        fields = {
            "KANTATA": {"CLIENT_ID": KANTATA_CLIENT, "CLIENT_SECRET": own.kantata},
            "SALESFORCE": {
                "CLIENT_ID": into_salesforce.CLIENT_ID,
                "CLIENT_SECRET": own.salesforce,
            },
            "WORKDAY": {
                "TENANT": into_workday.TENANT,
                "USER": into_workday.ISU,
                "PASSWORD": own.workday,
                "RATE_PER_S": "50",
            },
            "FLOAT": {"TOKEN": own.float, "CONTACT": "operations@firm.example"},
            "NETSUITE": {
                "CLIENT_ID": into_netsuite.CLIENT_ID,
                "CERTIFICATE_ID": into_netsuite.CERTIFICATE_ID,
                "PRIVATE_KEY": own.netsuite_key,
                "SETTLE_S": "3",
            },
        }
        wired = {
            f"FIRMWIRE_SYSTEM_INSTANCE_{vendor}_{name}": value
            for vendor, values in fields.items()
            for name, value in ({"BASE_URL": f"{url}/{vendor.lower()}"} | values).items()
        }
        return wired | {
            "FIRMWIRE_SYSTEM_INSTANCES": msgspec.json.encode(instances).decode(),
            "FIRMWIRE_PROCESS_ALLOW_SELF_RELEASE": "true",
            "FIRMWIRE_CONTROL_SANDBOX": "true",
            # A larger firm's lists take more calls, and the vendors' quotas are what they are.
            "FIRMWIRE_PROCESS_MASTER_POLL_S": str(5 * PATIENCE[self.size]),
            "FIRMWIRE_SANDBOX_PORT": str(self.ports.sandbox),
            "FIRMWIRE_SANDBOX_SIZE": self.size,
            "FIRMWIRE_SANDBOX_SEED": str(self.seed),
        }


def _child(name: str, port: int, ready_path: str = "/ready", after: tuple[str, ...] = ()) -> Child:
    command = serve_command(name)
    return Child(name=name, command=command, port=port, ready_path=ready_path, after=after)


def _wiring(ports: Ports) -> dict[str, str]:
    def url(port: int) -> str:
        return f"http://127.0.0.1:{port}"

    return {
        "FIRMWIRE_GATEWAY_PORT": str(ports.gateway),
        "FIRMWIRE_GATEWAY_INTERNAL_PORT": str(ports.internal),
        "FIRMWIRE_GATEWAY_CONTROL_URL": url(ports.control),
        "FIRMWIRE_CONTROL_PORT": str(ports.control),
        "FIRMWIRE_CONTROL_SYSTEM_URL": url(ports.system),
        "FIRMWIRE_CONTROL_PROCESS_URL": url(ports.process),
        "FIRMWIRE_CONTROL_EXPERIENCE_URL": url(ports.experience),
        "FIRMWIRE_SYSTEM_PORT": str(ports.system),
        "FIRMWIRE_PROCESS_PORT": str(ports.process),
        "FIRMWIRE_PROCESS_SYSTEM_URL": url(ports.system),
        "FIRMWIRE_EXPERIENCE_PORT": str(ports.experience),
        "FIRMWIRE_EXPERIENCE_PROCESS_URL": url(ports.process),
    }

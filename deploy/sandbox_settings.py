"""This file exists to print the system tier's settings for the simulators of a home folder.

    FIRMWIRE_HOME=... python deploy/sandbox_settings.py > vendors.toml

Owns   the simulators' secrets in that home folder, made when there are none.
Fails  OSError when the home folder cannot be written.
"""

import json

from chassis import settings
from firmwire.platform import Platform, Ports

PREFIX = "FIRMWIRE_SYSTEM_INSTANCE_"


def toml() -> str:
    """Section [system]: instances, and one table each. JSON text is TOML text too."""
    platform = Platform(home=settings.home().absolute(), ports=Ports())
    platform.prepare()
    told = platform.environment()
    vendors: dict[str, str] = json.loads(told["FIRMWIRE_SYSTEM_INSTANCES"])
    lines = ["[system.instances]"]
    lines += [f"{name} = {json.dumps(vendor)}" for name, vendor in vendors.items()]
    for name in vendors:
        own = f"{PREFIX}{name.upper()}_"
        lines += ["", f"[system.instance.{name}]"]
        lines += [
            f"{variable.removeprefix(own).lower()} = {json.dumps(value)}"
            for variable, value in sorted(told.items())
            if variable.startswith(own)
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(toml(), end="")

"""This file exists to be the command line's front door: which commands there are, quickly."""

import importlib

import click

COMMANDS = {
    "up": "Start every tier, the gateway and the sandbox on this machine.",
    "serve": "Run one process of the platform: a container's entry point.",
    "demo": "Show the main job: approved time becomes posted invoices, once.",
    "doctor": "Check that this machine and its settings are fit to run.",
    "identity": "Make a deployment's internal keys, peppers and tokens ahead of it.",
    "keys": "Create, find, rotate and revoke API keys.",
    "consumers": "Who calls: list, find, make and remove consumers.",
    "plans": "What consumers may and how much: list, make and remove plans.",
    "clients": "Create, list and revoke OAuth clients, which get access tokens.",
    "issuers": "Other issuers whose access tokens count here: add, list and remove.",
    "signing-keys": "List and rotate the keys that sign access tokens.",
    "admins": "People who sign in: create, list, disable.",
    "versions": "Who calls which version; deprecate, rehearse and end one.",
    "quotas": "What consumers used of their limits; reset and raise them.",
    "audit": "Who changed what: read it, and check that it is whole.",
    "gateway": "Bring the gateway to the state of files: plan, diff, apply, export.",
    "contracts": "Write the OpenAPI documents and what else is generated.",
}


class Lazy(click.Group):
    """Imports a command's file when it is called or asked for help, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        found = getattr(importlib.import_module(f"firmwire.commands.{name}"), name)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="firmwire")
def main() -> None:
    """Firmwire: one governed API over a firm's systems, and the journeys between them."""

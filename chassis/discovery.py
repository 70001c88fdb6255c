"""This file exists to find the plugs in a socket folder; nothing else in the house walks packages.

Owns   no state; importing a plug runs its module.
Fails  NotAPlug, naming the file and what it must export.
"""

import importlib
import pkgutil
from typing import TypeVar

T = TypeVar("T")


class NotAPlug(TypeError):
    """A child of a socket folder that does not export what the socket asks for."""


def plugs(socket: str, name: str, shape: type[T], *, part: str = "") -> dict[str, T]:
    """Every `name` exported by a direct child of package `socket`, keyed and sorted by child name.

    part: look in this module of each child folder (`simulator`) instead of the child itself;
    children without that module are left out.
    """
    package = importlib.import_module(socket)
    found: dict[str, T] = {}
    for child in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        where = f"{socket}.{child}"
        if part:
            home = importlib.import_module(where)
            where = f"{where}.{part}"
            inside = pkgutil.iter_modules(getattr(home, "__path__", []))
            if part not in {module.name for module in inside}:
                continue
        plug = getattr(importlib.import_module(where), name, None)
        if not isinstance(plug, shape):
            got = "nothing" if plug is None else f"a {type(plug).__name__}"
            raise NotAPlug(f"{where} must export {name}: {shape.__name__}; it exports {got}")
        found[child] = plug
    return found

"""This file exists to read a service's settings once, from the environment and one TOML file.

Owns   the only reading of the environment. `FIRMWIRE_<SECTION>_<FIELD>` wins over `[section]`.
Fails  BadSettings, with everything that is wrong at once: field, reason, what to do. TypeError for
       a shape whose variables could mean two fields: whoever writes it hears of it at once.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct, ValidationError

T = TypeVar("T", bound=Struct)

PREFIX = "FIRMWIRE"
_TOO_WELL_KNOWN = {"", "change-me", "changeme", "default", "password", "secret", "todo"}


class Secret:
    """Text that never shows itself: not in repr, not in a log, not in an error."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Wrong(Struct, frozen=True):
    """field: as in TOML, e.g. `system.port`. hint: what to do about it."""

    field: str
    reason: str
    hint: str


class BadSettings(Exception):
    """Why a service refuses to start; str() is fit for the terminal."""

    def __init__(self, wrongs: list[Wrong]) -> None:
        self.wrongs = tuple(wrongs)
        lines = [f"  {wrong.field}: {wrong.reason}. {wrong.hint}" for wrong in wrongs]
        super().__init__("The settings are not usable:\n" + "\n".join(lines))


def load(
    shape: type[T],
    section: str,
    *,
    file: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> T:
    """Settings of one section, e.g. `process` or `system.instances.netsuite`.

    file: defaults to FIRMWIRE_SETTINGS_FILE, and to no file at all. A dict field of Structs or
    dicts (`instances`) is a table whose entries are loaded by their own sections.
    """
    unambiguous(shape)
    environment = os.environ if env is None else env
    wrongs: list[Wrong] = []
    table = _table(section, file or _file(environment), wrongs)
    prefix = "_".join([PREFIX, *section.upper().replace("-", "_").split(".")])
    values = _values(shape, table, section, prefix, environment, wrongs)
    if wrongs:
        raise BadSettings(wrongs)
    return shape(**values)


def unambiguous(shape: type[Struct]) -> None:
    """TypeError where a field begins as a section beside it: `limits_url` beside `limits` would be
    read as the field `url` of that."""
    fields = {field.name: field.type for field in msgspec.structs.fields(shape)}
    for section, kind in fields.items():
        if not _holds_tables(kind):
            continue
        for name in fields:
            if name.startswith(f"{section}_"):
                why = f"its variable would belong to the section {section}; rename it"
                raise TypeError(f"{shape.__name__}.{name}: {why}")
        if _is_struct(kind):
            unambiguous(kind)


def names(
    section: str, *, file: Path | None = None, env: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """The tables inside a section of the file, e.g. the instances in `system.instances`, sorted."""
    wrongs: list[Wrong] = []
    table = _table(section, file or _file(os.environ if env is None else env), wrongs)
    if wrongs:
        raise BadSettings(wrongs)
    return tuple(sorted(name for name, value in table.items() if isinstance(value, dict)))


def home(env: Mapping[str, str] | None = None) -> Path:
    """The folder of this installation's files: FIRMWIRE_HOME, or `.firmwire` where one stands."""
    found = (os.environ if env is None else env).get(f"{PREFIX}_HOME")
    return Path(found).expanduser() if found else Path.cwd() / ".firmwire"


def shown(settings: Struct) -> dict[str, Any]:
    """Settings as plain data for the log at start; secrets and user info in addresses masked."""
    return {name: _masked(getattr(settings, name)) for name in settings.__struct_fields__}


def _masked(value: Any) -> Any:
    if isinstance(value, Secret):
        return "***"
    if isinstance(value, Struct):
        return shown(value)
    if isinstance(value, dict):
        return {key: _masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    if isinstance(value, str) and "://" in value and "@" in value:
        scheme, _, rest = value.partition("://")
        return f"{scheme}://***@{rest.rpartition('@')[2]}"
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _file(environment: Mapping[str, str]) -> Path | None:
    found = environment.get(f"{PREFIX}_SETTINGS_FILE")
    return Path(found) if found else None


def _table(section: str, file: Path | None, wrongs: list[Wrong]) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        table: Any = tomllib.loads(file.read_text())
    except FileNotFoundError:
        wrongs.append(Wrong(str(file), "the settings file is not there", "Create it or unset it."))
        return {}
    except tomllib.TOMLDecodeError as error:
        wrongs.append(Wrong(str(file), f"not TOML: {error}", "Correct the file."))
        return {}
    for part in section.split("."):
        table = table.get(part, {}) if isinstance(table, dict) else {}
    return table if isinstance(table, dict) else {}


def _values(
    shape: type[Struct],
    table: dict[str, Any],
    section: str,
    prefix: str,
    environment: Mapping[str, str],
    wrongs: list[Wrong],
) -> dict[str, Any]:
    fields = {field.name: field for field in msgspec.structs.fields(shape)}
    values: dict[str, Any] = {}
    for name, field in fields.items():
        where, variable = f"{section}.{name}", f"{prefix}_{name.upper()}"
        if _is_struct(field.type) and variable not in environment:
            inner = table.get(name, {})
            if inner or field.required or _any_starts(environment, f"{variable}_"):
                before = len(wrongs)
                below = _values(field.type, inner, where, variable, environment, wrongs)
                if len(wrongs) == before:
                    values[name] = field.type(**below)
        elif variable in environment:
            _take(values, name, field.type, _read(environment[variable], field.type), where, wrongs)
        elif name in table:
            _take(values, name, field.type, table[name], where, wrongs)
        elif field.default is NODEFAULT and field.default_factory is NODEFAULT:
            hint = f"Set {variable}, or {name} under [{section}]."
            wrongs.append(Wrong(where, "is missing", hint))
    _unknown(fields, table, section, prefix, environment, wrongs)
    return values


def _take(
    values: dict[str, Any], name: str, kind: Any, given: Any, where: str, wrongs: list[Wrong]
) -> None:
    try:
        values[name] = msgspec.convert(given, kind, strict=False, dec_hook=_decode)
    except ValidationError as error:
        reason = str(error).replace("`", "")
        wrongs.append(Wrong(where, reason, "Correct the value."))


def _decode(kind: type, given: Any) -> Any:
    if kind is Secret and isinstance(given, str):
        if given.strip().lower() in _TOO_WELL_KNOWN:
            raise ValueError("a secret must not be empty or a well-known word")
        return Secret(given)
    if isinstance(kind, type) and issubclass(kind, Path) and isinstance(given, str):
        return Path(given).expanduser()
    raise ValueError(f"Expected text for {kind.__name__}")


def _read(text: str, kind: Any) -> Any:
    """Environment text as data: JSON for tables, commas or JSON for lists, else itself."""
    if get_origin(kind) in (list, tuple, set, frozenset):
        if text.startswith("["):
            return msgspec.json.decode(text)
        return [part.strip() for part in text.split(",") if part.strip()]
    if text.startswith("{") and (get_origin(kind) is dict or kind is dict):
        return msgspec.json.decode(text)
    return text


def _unknown(
    fields: Mapping[str, msgspec.structs.FieldInfo],
    table: dict[str, Any],
    section: str,
    prefix: str,
    environment: Mapping[str, str],
    wrongs: list[Wrong],
) -> None:
    choice = f"One of: {', '.join(sorted(fields))}."
    wrongs.extend(
        Wrong(f"{section}.{name}", "is not a setting", choice)
        for name in table
        if name not in fields
    )
    own = {f"{prefix}_{name.upper()}" for name in fields}
    open_ended = tuple(
        f"{prefix}_{name.upper()}_" for name, field in fields.items() if _holds_tables(field.type)
    )
    for variable in sorted(environment):
        if variable.startswith(f"{prefix}_") and variable not in own:
            if open_ended and variable.startswith(open_ended):
                continue
            wrongs.append(Wrong(variable, "is not a setting", choice))


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _holds_tables(kind: Any) -> bool:
    """A nested section: a Struct, or dict[str, Struct | dict]."""
    if get_origin(kind) is dict:
        inner = get_args(kind)[1]
        return _is_struct(inner) or inner in (dict, Any) or get_origin(inner) is dict
    return _is_struct(kind)


def _any_starts(environment: Mapping[str, str], prefix: str) -> bool:
    return any(variable.startswith(prefix) for variable in environment)

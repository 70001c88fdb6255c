"""This file exists to read the wanted state of the gateway from TOML files, and know its lines.

Owns   the form of the files: hosts, [plans.NAME], [consumers.NAME], [upstreams.NAME],
       [routes.NAME] and [issuers."ADDRESS"]. Several files, or all of a folder, are one state.
Fails  BadFiles, with file and line of everything that is wrong, before anything is sent.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

SECTIONS = ("plans", "consumers", "upstreams", "routes", "issuers", "hosts")

_HEADER = re.compile(r"^\s*\[\[?\s*(?P<path>[^\[\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_PAIR = re.compile(r"^\s*(?P<path>(?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*"
                   r"(?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=")  # fmt: skip
_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([^.\s]+)")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")

Path_ = tuple[str, ...]


class BadFiles(ValueError):
    """One line a mistake: `file:line: what`."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


class StateFiles:
    """state: what the files want, as plain data. `where` finds a pointer's file and line."""

    def __init__(self, given: Sequence[Path]) -> None:
        self.state: dict[str, Any] = {}
        self._lines: dict[Path_, str] = {}
        files = list(_files(given))
        wrong: list[str] = []
        for file in files:
            wrong += self._take(file)
        if not files:
            wrong.append(f"{given[0]}: there is no .toml file in it")
        if wrong:
            raise BadFiles(wrong)

    def where(self, pointer: str) -> str:
        """`file:line` of the nearest thing a JSON pointer names; "" when it names nothing."""
        path = tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return ""

    def _take(self, file: Path) -> list[str]:
        text = file.read_text()
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            said = str(error)
            line = found[1] if (found := _AT_LINE.search(said)) else str(text.count("\n") + 1)
            return [f"{file}:{line}: {_AT_LINE.sub('', said).strip()}"]
        lines = {path: f"{file}:{line}" for path, line in lines_of(text).items()}
        wrong = []
        for section, value in table.items():
            place = lines.get((section,)) or str(file)
            if section not in SECTIONS:
                wrong.append(f"{place}: {section} is none of {', '.join(SECTIONS)}")
            elif section == "hosts":
                wrong += self._new(("hosts",), value, self.state, lines)
            elif not isinstance(value, dict) or not all(
                isinstance(inner, dict) for inner in value.values()
            ):
                wrong.append(f"{place}: write [{section}.NAME] with its fields below")
            else:
                for name, inner in value.items():
                    into = self.state.setdefault(section, {})
                    wrong += self._new((section, name), inner, into, lines)
                self.state.setdefault(section, {})
        return wrong

    def _new(
        self, path: Path_, value: Any, into: dict[str, Any], lines: Mapping[Path_, str]
    ) -> list[str]:
        if path[-1] in into:
            return [f"{lines.get(path, '')}: {'.'.join(path)} is in {self._lines.get(path)} too"]
        into[path[-1]] = value
        self._lines |= {p: line for p, line in lines.items() if p[: len(path)] == path}
        self._lines.setdefault(path[:1], lines.get(path, ""))
        return []


def lines_of(text: str) -> dict[Path_, int]:
    """Where each table and each key of a TOML text stands. Only for messages: it reads lines."""
    found: dict[Path_, int] = {}
    table: Path_ = ()
    depth = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not depth and (header := _HEADER.match(line)):
            table = _parts(header["path"])
            _note(found, table, number)
        elif not depth and (pair := _PAIR.match(line)):
            _note(found, table + _parts(pair["path"]), number)
            depth += _opened(line[pair.end() :])
        elif depth:
            depth += _opened(line)
    return found


def _note(found: dict[Path_, int], path: Path_, number: int) -> None:
    for length in range(1, len(path) + 1):
        found.setdefault(path[:length], number)


def _parts(path: str) -> Path_:
    return tuple(a or b or c for a, b, c in _PART.findall(path))


def _opened(line: str) -> int:
    """Brackets opened minus closed, strings and comments left out."""
    bare = re.sub(r"\"(?:\\.|[^\"\\])*\"|'[^']*'", "", line).partition("#")[0]
    return sum(bare.count(c) for c in "[{") - sum(bare.count(c) for c in "]}")


def _files(given: Sequence[Path]) -> Iterable[Path]:
    for path in given:
        if path.is_dir():
            yield from sorted(path.glob("*.toml"))
        else:
            yield path


def toml(state: Mapping[str, Any]) -> str:
    """A state as a file: what `export` writes. Empty and missing values are left out."""
    blocks: list[str] = []
    for section in SECTIONS:
        value = state.get(section)
        if section == "hosts":
            if value:
                blocks.insert(0, f"hosts = {as_toml(value)}")
        else:
            for name, fields in (value or {}).items():
                blocks.append(f"[{section}.{_key(name)}]\n" + "\n".join(_pairs(fields)))
    return "\n\n".join(blocks) + "\n"


def _pairs(fields: Mapping[str, Any]) -> Iterable[str]:
    for name, value in fields.items():
        if value is not None and value != "":
            yield f"{_key(name)} = {as_toml(value)}"


def as_toml(value: Any) -> str:
    """One value."""
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(n)} = {as_toml(v)}" for n, v in value.items() if v is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(as_toml(item) for item in value)}]"
    # JSON's strings, numbers and booleans are TOML's.
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'

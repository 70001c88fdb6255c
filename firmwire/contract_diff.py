"""This file exists to say what a caller notices between two OpenAPI documents, and what breaks it.

Owns   the rules, named as oasdiff names its ERR class. A request must still be taken by the newer
       document (old within new), a reply still be known to the older caller (new within old,
       where more members are allowed: callers ignore what they do not know).
Fails  never: what cannot be compared is told as a breaking difference.
Source oasdiff, checker rules of level ERR; JSON Schema 2020-12. Written for what msgspec emits:
       $ref, type, enum, const, oneOf, anyOf, properties, items, bounds, format, pattern.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

Schema = dict[str, Any]
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_DEPTH_MAX = 60


class Difference(Struct, frozen=True, order=True):
    """operation: `POST /path`. where: inside it, e.g. `request.body/lines/*/net`."""

    operation: str
    where: str
    rule: str
    tells: str
    breaking: bool = True

    def __str__(self) -> str:
        mark = "breaks" if self.breaking else "grows"
        return f"{mark}  {self.operation}  {self.where or '-'}  {self.rule}: {self.tells}"


def differences(old: Schema, new: Schema) -> tuple[Difference, ...]:
    """Sorted, each once."""
    found = set(_Comparison(old, new).run())
    return tuple(sorted(found))


def breaking(old: Schema, new: Schema) -> tuple[Difference, ...]:
    """Only those that stop an older caller."""
    return tuple(each for each in differences(old, new) if each.breaking)


def _operations(document: Schema) -> dict[str, Schema]:
    return {
        f"{method.upper()} {path}": described
        for path, item in document.get("paths", {}).items()
        for method, described in item.items()
        if method in METHODS
    }


class _Comparison:
    """One pair of documents. Differences of a schema are found once and told for each user."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._known: dict[tuple[str, str, bool], list[tuple[str, str, str, bool]]] = {}

    def run(self) -> Iterator[Difference]:
        old, new = _operations(self._old), _operations(self._new)
        for name in old.keys() - new.keys():
            yield Difference(name, "", "api-removed", "the operation is gone")
        for name in new.keys() - old.keys():
            yield Difference(name, "", "endpoint-added", "a new operation", False)
        for name in old.keys() & new.keys():
            for where, rule, tells, breaks in self._operation(old[name], new[name]):
                yield Difference(name, where, rule, tells, breaks)

    def _operation(self, old: Schema, new: Schema) -> Iterator[tuple[str, str, str, bool]]:
        yield from self._parameters(old, new)
        yield from self._request(old.get("requestBody"), new.get("requestBody"))
        yield from self._replies(old.get("responses", {}), new.get("responses", {}))
        had, has = _scopes(old), _scopes(new)
        for scope in sorted(has - had):
            yield "security", "api-security-scope-added", f"needs {scope} now", True

    def _parameters(self, old: Schema, new: Schema) -> Iterator[tuple[str, str, str, bool]]:
        had = {(p["in"], p["name"]): p for p in old.get("parameters", ())}
        has = {(p["in"], p["name"]): p for p in new.get("parameters", ())}
        for place, name in sorted(had.keys() - has.keys()):
            where = f"request.{place}/{name}"
            yield where, "request-parameter-removed", "is not taken any more", True
        for place, name in sorted(has.keys() - had.keys()):
            where, required = f"request.{place}/{name}", bool(has[place, name].get("required"))
            rule = "new-required-request-parameter" if required else "new-optional-parameter"
            yield where, rule, "is new" + (" and required" if required else ""), required
        for place, name in sorted(had.keys() & has.keys()):
            where, before, after = f"request.{place}/{name}", had[place, name], has[place, name]
            if after.get("required") and not before.get("required"):
                yield where, "request-parameter-became-required", "is required now", True
            yield from self._within(
                before.get("schema", {}), after.get("schema", {}), where, request=True
            )

    def _request(
        self, old: Schema | None, new: Schema | None
    ) -> Iterator[tuple[str, str, str, bool]]:
        if old is None and new is not None:
            breaks = bool(new.get("required"))
            yield "request.body", "request-body-added", "a body is taken now", breaks
        elif old is not None and new is None:
            yield "request.body", "request-body-removed", "no body is taken any more", True
        elif old is not None and new is not None:
            if new.get("required") and not old.get("required"):
                yield "request.body", "request-body-became-required", "is required now", True
            yield from self._media(old, new, "request.body", request=True)

    def _replies(self, old: Schema, new: Schema) -> Iterator[tuple[str, str, str, bool]]:
        for status in sorted(old.keys() - new.keys()):
            kind = "success" if status.startswith("2") else "non-success"
            where = f"reply.{status}"
            yield where, f"response-{kind}-status-removed", f"{status} is gone", True
        for status in sorted(new.keys() - old.keys()):
            breaks = status.startswith("2")
            yield f"reply.{status}", "response-status-added", f"{status} is new", breaks
        for status in sorted(old.keys() & new.keys()):
            yield from self._media(old[status], new[status], f"reply.{status}", request=False)

    def _media(
        self, old: Schema, new: Schema, where: str, *, request: bool
    ) -> Iterator[tuple[str, str, str, bool]]:
        had, has = old.get("content", {}), new.get("content", {})
        side = "request-body" if request else "response"
        for kind in sorted(had.keys() - has.keys()):
            yield where, f"{side}-media-type-removed", f"{kind} is gone", True
        for kind in sorted(has.keys() - had.keys()):
            yield where, f"{side}-media-type-added", f"{kind} is new", False
        for kind in sorted(had.keys() & has.keys()):
            before, after = had[kind].get("schema", {}), has[kind].get("schema", {})
            yield from self._within(before, after, where, request=request)

    def _within(
        self, old: Schema, new: Schema, where: str, *, request: bool
    ) -> Iterator[tuple[str, str, str, bool]]:
        inner, outer = (old, new) if request else (new, old)
        told = Subset(self._old, self._new, request, self._known).told(inner, outer)
        for inside, rule, tells, breaks in told:
            yield f"{where}{inside}", rule, tells, breaks


class Subset:
    """Is every value of `inner` one of `outer`? Requests: inner is old. Replies: inner is new."""

    def __init__(self, old: Schema, new: Schema, request: bool, known: dict[Any, Any]) -> None:
        self._inner_document, self._outer_document = (old, new) if request else (new, old)
        self._request = request
        self._side = "request-property" if request else "response-property"
        self._known = known
        self._depth = 0

    def told(self, inner: Schema, outer: Schema) -> list[tuple[str, str, str, bool]]:
        """(where inside, rule, words, breaks) for everything that is not."""
        names = inner.get("$ref", ""), outer.get("$ref", "")
        if not all(names):
            return list(self._compared(inner, outer))
        key = (*names, self._request)
        if key not in self._known:
            self._known[key] = []  # a schema inside itself is compared once
            self._known[key] = list(self._compared(inner, outer))
        found: list[tuple[str, str, str, bool]] = self._known[key]
        return found

    def _compared(self, inner: Schema, outer: Schema) -> Iterator[tuple[str, str, str, bool]]:
        if self._depth > _DEPTH_MAX:
            yield "", "not-comparable", "nested too deep to compare", True
            return
        self._depth += 1
        choices = self._choices(outer, self._outer_document)
        ones = self._choices(inner, self._inner_document)
        for one in ones:
            yield from self._best(one, choices, union=len(ones) > 1 or len(choices) > 1)
        if not self._request:
            yield from self._grown(inner, outer)
        self._depth -= 1

    def _best(
        self, one: Schema, choices: list[Schema], *, union: bool
    ) -> Iterator[tuple[str, str, str, bool]]:
        """The differences to the choice that fits, or to the one meant."""
        if not choices or any(not choice for choice in choices):
            return  # anything goes
        named = [c for c in choices if one.get("$name") and c.get("$name") == one["$name"]]
        like = named or [c for c in choices if _type_fits(one, c)]
        if not like:
            kinds = " or ".join(sorted({str(c.get("type", "any")) for c in choices}))
            kind = one.get("type", "anything")
            if kind == "null":
                rule = "became-not-nullable" if self._request else "became-nullable"
                yield "", f"{self._side}-{rule}", "null is told apart", True
            elif self._request:
                yield "", f"{self._side}-type-changed", f"{kind} is not taken, only {kinds}", True
            else:
                yield "", f"{self._side}-type-changed", f"may be {kind}, was {kinds}", True
            return
        tried = [list(self._simple(one, choice)) for choice in like]
        best = min(tried, key=lambda found: sum(1 for each in found if each[3]))
        if union and "$name" in one and not named and any(each[3] for each in best):
            rule = "one-of-removed" if self._request else "one-of-added"
            kind = one["$name"].rpartition("/")[2]
            yield "", f"{self._side}-{rule}", f"{kind} is none of those known", True
            return
        yield from best

    def _simple(self, inner: Schema, outer: Schema) -> Iterator[tuple[str, str, str, bool]]:
        yield from _values(inner, outer, self._side, self._request)
        yield from _bounds(inner, outer, self._side)
        if "properties" in inner or "properties" in outer:
            yield from self._members(inner, outer)
        if "items" in outer and outer["items"] is not False:
            for inside, *rest in self.told(inner.get("items") or {}, outer["items"] or {}):
                yield (f"/*{inside}", *rest)  # type: ignore[misc]
        many, any_of = inner.get("additionalProperties"), outer.get("additionalProperties")
        if isinstance(any_of, dict) and any_of:
            for inside, *rest in self.told(many if isinstance(many, dict) else {}, any_of):
                yield (f"/*{inside}", *rest)  # type: ignore[misc]

    def _members(self, inner: Schema, outer: Schema) -> Iterator[tuple[str, str, str, bool]]:
        mine, theirs = inner.get("properties", {}), outer.get("properties", {})
        must, always = set(outer.get("required", ())), set(inner.get("required", ()))
        for name in sorted(must - always):
            if not self._request:
                rule = "became-optional" if name in mine else "removed"
                yield f"/{name}", f"{self._side}-{rule}", "is not always told any more", True
            elif name in mine:
                yield f"/{name}", f"{self._side}-became-required", "is required now", True
            else:
                yield f"/{name}", "new-required-request-property", "is new and required", True
        for name in sorted(mine.keys() - theirs.keys()):
            if self._request:
                yield f"/{name}", f"{self._side}-removed", "is not taken any more", True
        for name in sorted(theirs.keys() - mine.keys() - must):
            if not self._request:
                yield f"/{name}", f"{self._side}-removed", "is not told any more", True
        for name in sorted(mine.keys() & theirs.keys()):
            for inside, *rest in self.told(mine[name], theirs[name]):
                yield (f"/{name}{inside}", *rest)  # type: ignore[misc]

    def _grown(self, inner: Schema, outer: Schema) -> Iterator[tuple[str, str, str, bool]]:
        """What a reply tells more than before; nobody is stopped by it."""
        news = self._choices(inner, self._inner_document)
        olds = self._choices(outer, self._outer_document)
        if len(news) == len(olds) == 1:
            more = news[0].get("properties", {}).keys() - olds[0].get("properties", {}).keys()
            for name in sorted(more):
                yield f"/{name}", f"{self._side}-added", "is new", False

    def _choices(self, schema: Schema, document: Schema) -> list[Schema]:
        """The simple schemas of a union, references followed, types told apart."""
        name = schema.get("$ref", "")
        for _ in range(_DEPTH_MAX):
            if "$ref" not in schema:
                break
            schema = _followed(schema["$ref"], document)
        for key in ("oneOf", "anyOf"):
            if key in schema:
                return [c for each in schema[key] for c in self._choices(each, document)]
        if len(parts := schema.get("allOf", ())) == 1:
            return self._choices(parts[0], document)
        kinds = schema.get("type")
        if isinstance(kinds, list):
            return [{**schema, "type": kind} for kind in kinds]
        return [{**schema, "$name": name} if name else schema]


def _followed(reference: str, document: Schema) -> Schema:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    assert isinstance(found, dict)
    return found


def _scopes(operation: Schema) -> set[str]:
    return {
        scope
        for needed in operation.get("security", ())
        for scopes in needed.values()
        for scope in scopes
    }


def _allowed(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    found = schema.get("enum")
    return found if isinstance(found, list) else None


def _type_fits(inner: Schema, outer: Schema) -> bool:
    have, want = inner.get("type"), outer.get("type")
    if want is None or have == want:
        return True
    if have is None:
        allowed = _allowed(inner)
        return allowed is not None and all(_type_of(value) == want for value in allowed)
    return (have, want) == ("integer", "number")


def _type_of(value: Any) -> str:
    kinds: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return "null" if value is None else kinds.get(type(value), "object")


def _values(
    inner: Schema, outer: Schema, side: str, request: bool
) -> Iterator[tuple[str, str, str, bool]]:
    allowed, sent = _allowed(outer), _allowed(inner)
    if allowed is None:
        return
    if sent is None:
        rule = "became-enum" if request else "became-not-enum"
        tells = "only some values are taken now" if request else "may be any value now"
        yield "", f"{side}-{rule}", tells, True
        return
    for value in sent:
        if value not in allowed:
            rule = "enum-value-removed" if request else "enum-value-added"
            yield "", f"{side}-{rule}", f"{value!r}", request


def _bounds(inner: Schema, outer: Schema, side: str) -> Iterator[tuple[str, str, str, bool]]:
    for key in _UPPER:
        if key in outer and not (key in inner and inner[key] <= outer[key]):
            yield "", f"{side}-{key}-narrowed", f"at most {outer[key]}", True
    for key in _LOWER:
        if key in outer and not (key in inner and inner[key] >= outer[key]):
            yield "", f"{side}-{key}-narrowed", f"at least {outer[key]}", True
    for key in ("format", "pattern"):
        if key in outer and inner.get(key) != outer[key]:
            yield "", f"{side}-{key}-changed", f"{outer[key]}, not {inner.get(key, 'any')}", True

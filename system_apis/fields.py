"""This file exists to name the fields of a shape: pure, so that any wire may use it."""

import msgspec


def field_names(shape: type[msgspec.Struct]) -> frozenset[str]:
    """The names a struct has on the wire."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(shape))


def words(text: str) -> frozenset[str]:
    """Field names written as one text."""
    return frozenset(text.split())

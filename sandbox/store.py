"""Keeps a simulated vendor's documents in one SQLite file, so that they survive a restart.

Owns: the file, its tables and indexes. One thread: the server's loop.
Fails: Taken on a unique key; ValueError on a field, kind or order that is not a plain name.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from system_apis.simulator import Document, Row, Taken

STALE_S: ContextVar[float] = ContextVar("stale_s", default=0.0)
"""How far behind searches are in this request (fault stale_search)."""

Values = list[Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
  kind TEXT NOT NULL, id TEXT NOT NULL, id_order TEXT NOT NULL, version INTEGER NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, deleted INTEGER NOT NULL DEFAULT 0,
  unique_key TEXT, doc TEXT NOT NULL, PRIMARY KEY (kind, id)
);
CREATE UNIQUE INDEX IF NOT EXISTS documents_unique ON documents (kind, unique_key)
  WHERE unique_key IS NOT NULL AND deleted = 0;
CREATE INDEX IF NOT EXISTS documents_updated ON documents (kind, updated_at, id_order);
CREATE INDEX IF NOT EXISTS documents_ordered ON documents (kind, id_order);
CREATE TABLE IF NOT EXISTS sequences (kind TEXT PRIMARY KEY, last INTEGER NOT NULL);
"""
_UPSERT = """
INSERT INTO documents (kind, id, id_order, version, created_at, updated_at, unique_key, doc)
VALUES (?, ?, ?, 1, ?, ?, ?, ?)
ON CONFLICT (kind, id) DO UPDATE SET
  version = version + 1, doc = excluded.doc, updated_at = excluded.updated_at, deleted = 0,
  created_at = CASE WHEN deleted THEN excluded.created_at ELSE created_at END,
  unique_key = COALESCE(excluded.unique_key, CASE WHEN deleted THEN NULL ELSE unique_key END)
RETURNING id, version, created_at, updated_at, doc
"""
_SELECT = "SELECT id, version, created_at, updated_at, doc FROM documents"
_ADDED = ("_id", "_version", "_created_at", "_updated_at")
_ORDERS = {
    "updated_at,id": "updated_at, id_order",
    "-updated_at,id": "updated_at DESC, id_order DESC",
    "id": "id_order",
    "-id": "id_order DESC",
}
_KIND = re.compile(r"[A-Za-z0-9_.:-]+")
_FIELD = re.compile(r"([A-Za-z0-9_$-]+(?:\.[A-Za-z0-9_$-]+)*)(?: (=|!=|<|<=|>|>=|like))?")


class DocumentStore:
    """The kit's Store on SQLite."""

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._open_transactions = 0
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA busy_timeout=5000")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def put(
        self, kind: str, id: str, doc: Mapping[str, Any], *, unique: str | None = None
    ) -> Document:
        """Insert or replace."""
        return _document(self._upsert(kind, Row(id, doc, unique), self._now()))

    def get(self, kind: str, id: str) -> Document | None:
        """A strong read by id."""
        where = " WHERE kind = ? AND id = ? AND deleted = 0"
        row = self._db.execute(_SELECT + where, (kind, id)).fetchone()
        return _document(row) if row else None

    def by_unique(self, kind: str, unique: str) -> Document | None:
        """A strong read by unique key."""
        where = " WHERE kind = ? AND unique_key = ? AND deleted = 0"
        row = self._db.execute(_SELECT + where, (kind, unique)).fetchone()
        return _document(row) if row else None

    def list(
        self,
        kind: str,
        *,
        updated_since: str | None = None,
        after_id: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        where: Mapping[str, object] | None = None,
        order: str = "updated_at,id",
    ) -> list[Document]:
        """A search; blind to the youngest documents under the fault stale_search."""
        clause, values = self._search(kind, where, updated_since, after_id)
        sql = f"{_SELECT} WHERE {clause} ORDER BY {_ORDERS[order]} LIMIT ? OFFSET ?"
        rows = self._db.execute(sql, (*values, -1 if limit is None else limit, offset))
        return [_document(row) for row in rows]

    def count(self, kind: str, where: Mapping[str, object] | None = None) -> int:
        """How many a search would find."""
        clause, values = self._search(kind, where, None, None)
        sql = f"SELECT count(*) FROM documents WHERE {clause}"
        return int(self._db.execute(sql, values).fetchone()[0])

    def delete(self, kind: str, id: str) -> bool:
        """Remove from view."""
        sql = (
            "UPDATE documents SET deleted = 1, version = version + 1, updated_at = ?"
            " WHERE kind = ? AND id = ? AND deleted = 0"
        )
        return self._db.execute(sql, (self._now(), kind, id)).rowcount > 0

    def next_id(self, kind: str) -> int:
        """The next number of a kind."""
        sql = (
            "INSERT INTO sequences (kind, last) VALUES (?, 1)"
            " ON CONFLICT (kind) DO UPDATE SET last = last + 1 RETURNING last"
        )
        return int(self._db.execute(sql, (kind,)).fetchone()[0])

    def bulk_put(self, kind: str, rows: Iterable[Row]) -> int:
        """Many documents in one transaction."""
        now, written, highest = self._now(), 0, 0
        with self.transaction():
            for row in rows:
                self._upsert(kind, row, row.updated_at or now)
                written += 1
                if row.id.isdecimal():
                    highest = max(highest, int(row.id))
            sql = (
                "INSERT INTO sequences (kind, last) VALUES (?, ?)"
                " ON CONFLICT (kind) DO UPDATE SET last = max(last, excluded.last)"
            )
            self._db.execute(sql, (kind, highest))
        return written

    def index(self, kind: str, *fields: str) -> None:
        """A partial index over one kind; the kind is a literal in every search, so it is used."""
        name = re.sub(r"\W", "_", "_".join(("documents", kind, *fields)))
        columns = ", ".join(_column(field)[0] for field in fields)
        self._db.execute(
            f"CREATE INDEX IF NOT EXISTS {name} ON documents ({columns}) WHERE {_is(kind)}"
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; an inner one can fail alone."""
        depth = self._open_transactions
        self._db.execute(f"SAVEPOINT t{depth}" if depth else "BEGIN IMMEDIATE")
        self._open_transactions += 1
        try:
            yield
        except BaseException:
            self._db.execute(f"ROLLBACK TO t{depth}" if depth else "ROLLBACK")
            raise
        else:
            self._db.execute(f"RELEASE t{depth}" if depth else "COMMIT")
        finally:
            self._open_transactions -= 1

    def kinds(self) -> dict[str, int]:
        """Live documents a kind, for the sandbox's own pages."""
        sql = "SELECT kind, count(*) FROM documents WHERE deleted = 0 GROUP BY kind ORDER BY kind"
        return dict(self._db.execute(sql).fetchall())

    def raw(self, kind: str, limit: int, offset: int, deleted: bool) -> tuple[int, Values]:
        """The truth, untouched by any fault: total and one page, deleted ones too when asked."""
        clause = "kind = ?" if deleted else "kind = ? AND deleted = 0"
        total = self._db.execute(f"SELECT count(*) FROM documents WHERE {clause}", (kind,))
        sql = (
            "SELECT id, version, created_at, updated_at, doc, deleted, unique_key FROM documents"
            f" WHERE {clause} ORDER BY id_order LIMIT ? OFFSET ?"
        )
        rows = self._db.execute(sql, (kind, limit, offset)).fetchall()
        page = [_document(row[:5]) | {"_deleted": bool(row[5]), "_unique": row[6]} for row in rows]
        return int(total.fetchone()[0]), page

    def _now(self) -> str:
        return self._clock().isoformat(timespec="microseconds")

    def _upsert(self, kind: str, row: Row, now: str) -> tuple[Any, ...]:
        doc = {name: value for name, value in row.doc.items() if name not in _ADDED}
        text = msgspec.json.encode(doc).decode()
        values = (kind, row.id, _id_order(row.id), now, now, row.unique, text)
        try:
            return tuple(self._db.execute(_UPSERT, values).fetchone())
        except sqlite3.IntegrityError as error:
            holder = self.by_unique(kind, row.unique or "")
            raise Taken(kind, row.unique or "", holder["_id"] if holder else "?") from error

    def _search(
        self,
        kind: str,
        where: Mapping[str, object] | None,
        updated_since: str | None,
        after_id: str | None,
    ) -> tuple[str, Values]:
        clauses: Values = [_is(kind), "deleted = 0"]
        values: Values = []
        for field, wanted in (where or {}).items():
            clause, more = _condition(field, wanted)
            clauses.append(clause)
            values += more
        if updated_since is not None and after_id is not None:
            clauses.append("(updated_at, id_order) > (?, ?)")
            values += [updated_since, _id_order(after_id)]
        elif updated_since is not None:
            clauses.append("updated_at >= ?")
            values.append(updated_since)
        elif after_id is not None:
            clauses.append("id_order > ?")
            values.append(_id_order(after_id))
        if lag_s := STALE_S.get():
            # A late index misses a new record whole; to a changes query also a late change.
            edge = (self._clock() - timedelta(seconds=lag_s)).isoformat(timespec="microseconds")
            clauses.append("created_at <= ?" if updated_since is None else "updated_at <= ?")
            values.append(edge)
        return " AND ".join(clauses), values


def _document(row: tuple[Any, ...]) -> Document:
    doc: Document = msgspec.json.decode(row[4])
    doc["_id"], doc["_version"], doc["_created_at"], doc["_updated_at"] = row[:4]
    return doc


def _id_order(id: str) -> str:
    """Numbers sort as numbers, and before names."""
    return f"{id:0>20}" if id.isdecimal() else f"~{id}"


def _is(kind: str) -> str:
    if not _KIND.fullmatch(kind):
        raise ValueError(f"not the name of a kind: {kind!r}")
    return f"kind = '{kind}'"


def _column(field: str) -> tuple[str, str]:
    """The SQL of a field and its operator. The pattern leaves no room for a quote."""
    match = _FIELD.fullmatch(field)
    if not match:
        raise ValueError(f"not a field: {field!r}")
    if match[1] in _ADDED:
        column = {"_id": "id", "_version": "version"}.get(match[1], match[1][1:])
    else:
        path = ".".join(f'"{part}"' for part in match[1].split("."))
        column = f"json_extract(doc, '$.{path}')"
    return column, match[2] or "="


def _condition(field: str, wanted: object) -> tuple[str, Values]:
    column, operator = _column(field)
    if wanted is None:
        return f"{column} IS {'NOT ' if operator == '!=' else ''}NULL", []
    if isinstance(wanted, list | tuple | set | frozenset):
        marks = ", ".join("?" * len(wanted))
        return f"{column} {'NOT ' if operator == '!=' else ''}IN ({marks})", list(wanted)
    return f"{column} {'IS NOT' if operator == '!=' else operator} ?", [wanted]

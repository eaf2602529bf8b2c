"""Full-text search over what was said in runs: requirements, prompts, outputs and errors.

The texts are those of events (the view `texts`); the table `search` is an index of them (FTS5) up to the event that
`indexed` names. Writers bring it up many events at a time; whoever searches looks through the rest as well, so what is
found is always complete: also in an older schema, and after a writer whose SQLite has no FTS5.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from lib.errors import RelayError
from lib.store.views import KINDS

if TYPE_CHECKING:
    import sqlite3

#: How the index reads texts: words in any case, with or without accents.
_TOKENIZER: Final = "unicode61 remove_diacritics 2"
_COLUMNS: Final = ", ".join(KINDS)
_HAS_TEXT: Final = f"coalesce({_COLUMNS}) IS NOT NULL"
#: Marks around what was found in a snippet.
_BEGIN, _END = "\x02", "\x03"
_SNIPPET_WORDS: Final = 24
#: A phrase in quotes, or a word; a quote that is not closed is none.
_TERM: Final = re.compile(r'"([^"]+)"|([^\s"]+)')


class Place(NamedTuple):
    """A place where words were found: in the text of an event, of a step or (empty) of the run as a whole.

    `kind` is one of `KINDS`; `at` is ISO 8601. `text` is a part of it on one line, and `marks` are the spans of the
    words in that.
    """

    seq: int
    run: str
    step: str
    at: str
    kind: str
    text: str
    marks: tuple[tuple[int, int], ...]


class Hit(NamedTuple):
    """An event in which words were found; the lower its `rank`, the better they fit."""

    seq: int
    run: str
    step: str
    rank: float
    table: str


def has_fts5(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone() is not None


def index(db: sqlite3.Connection, last: int) -> None:
    """Brings the index up to the event `last`, within the caller's transaction; does nothing without FTS5."""
    if not has_fts5(db):
        return
    db.execute(
        f"CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5({_COLUMNS},"
        f" content = 'texts', content_rowid = 'seq', tokenize = '{_TOKENIZER}')"
    )
    db.execute(
        f"INSERT INTO search (rowid, {_COLUMNS}) SELECT seq, {_COLUMNS} FROM texts"  # noqa: S608 - names of ours
        f" WHERE seq > (SELECT seq FROM indexed) AND seq <= ? AND {_HAS_TEXT}",
        (last,),
    )
    db.execute("UPDATE indexed SET seq = ?", (last,))


def unindex(db: sqlite3.Connection, run: str) -> None:
    """Takes the texts of a run out of the index, before its events go. Raises `RelayError` (`no_search`)."""
    if not _is_made(db):
        return
    _require(db)
    db.execute(
        f"INSERT INTO search (search, rowid, {_COLUMNS}) SELECT 'delete', seq, {_COLUMNS} FROM texts"  # noqa: S608 - names of ours
        f" WHERE run = ? AND seq <= (SELECT seq FROM indexed) AND {_HAS_TEXT}",
        (run,),
    )


def found(db: sqlite3.Connection, words: str) -> list[Hit]:
    """The events in whose texts all of the words are, the newest first. Raises `RelayError` (`no_search`).

    A word is found where one begins with it; a phrase in quotes only as it is. Nothing that is typed is an operator.
    """
    _require(db)
    query = _query(words)
    if not query:
        return []
    tables = ("search", "unindexed") if _is_made(db) else ("unindexed",)
    _gather_unindexed(db)
    hits = (
        Hit(row["seq"], row["run"], row["step"] or "", row["rank"], table)
        for table in tables
        for row in db.execute(
            f"SELECT texts.seq AS seq, run, step, bm25({table}) AS rank FROM {table}"  # noqa: S608 - names of ours
            f" JOIN texts ON texts.seq = {table}.rowid WHERE {table} MATCH ?",
            (query,),
        )
    )
    return sorted(hits, key=lambda hit: -hit.seq)


def place_of(db: sqlite3.Connection, hit: Hit, words: str) -> Place:
    """The place of a hit, in the same look."""
    snippets = ", ".join(
        f"snippet({hit.table}, {at}, '{_BEGIN}', '{_END}', '…', {_SNIPPET_WORDS}) AS {kind}"
        for at, kind in enumerate(KINDS)
    )
    query = f"SELECT {snippets} FROM {hit.table} WHERE {hit.table} MATCH ? AND rowid = ?"  # noqa: S608 - names of ours
    row = db.execute(query, (_query(words), hit.seq)).fetchone()
    (at,) = db.execute("SELECT at FROM events WHERE seq = ?", (hit.seq,)).fetchone()
    texts = {kind: row[kind] or "" for kind in KINDS}
    kind = max(KINDS, key=lambda name: texts[name].count(_BEGIN))
    return Place(hit.seq, hit.run, hit.step, at, kind, *_marked(texts[kind]))


def _query(words: str) -> str:
    """The words as a query of FTS5 that has no operator, by its grammar; empty if there is nothing to look for."""
    terms = ((phrase, word) for phrase, word in _TERM.findall(words) if any(map(str.isalnum, phrase + word)))
    return " ".join(f'"{phrase}"' if phrase else f'"{word}"*' for phrase, word in terms)


def _marked(text: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A snippet on one line, and the spans of what was found in it."""
    line, marks = "", []
    for part in re.split(f"([{_BEGIN}{_END}])", " ".join(text.split())):
        if part == _BEGIN:
            marks.append((len(line), len(line)))
        elif part == _END and marks:
            marks[-1] = (marks[-1][0], len(line))
        else:
            line += part
    return line, tuple(marks)


def _gather_unindexed(db: sqlite3.Connection) -> None:
    """An index of the texts that the one of the database does not have, which only this connection has."""
    after = "WHERE seq > (SELECT seq FROM indexed) AND" if _is_made(db) else "WHERE"
    db.execute("DROP TABLE IF EXISTS temp.unindexed")  # of an earlier search in the same look
    db.execute(f"CREATE VIRTUAL TABLE temp.unindexed USING fts5({_COLUMNS}, tokenize = '{_TOKENIZER}')")
    db.execute(
        f"INSERT INTO unindexed (rowid, {_COLUMNS}) SELECT seq, {_COLUMNS} FROM texts {after} {_HAS_TEXT}"  # noqa: S608 - names of ours
    )


def _is_made(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'search'").fetchone() is not None


def _require(db: sqlite3.Connection) -> None:
    if not has_fts5(db):
        message = "words can't be searched for: the SQLite of this Python was built without FTS5"
        raise RelayError(message, remedy="relay runs --since 30d", code="no_search")


def by_run(hits: Iterable[Hit], runs: Collection[str], steps: Collection[str]) -> dict[str, list[Hit]]:
    """The hits in each of the `runs`, in their order; of those in one of the `steps`, if any are given."""
    chosen: dict[str, list[Hit]] = {}
    for hit in hits:
        if hit.run in runs and (not steps or hit.step in steps):
            chosen.setdefault(hit.run, []).append(hit)
    return chosen


def best(hits: Sequence[Hit]) -> Hit:
    """The hit that fits best; of two that fit as well, the newer."""
    return min(hits, key=lambda hit: (hit.rank, -hit.seq))

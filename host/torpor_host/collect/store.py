# SPDX-License-Identifier: MIT
"""What was received, in SQLite: one file, safe against a killed collector.

    readings(db, "frost", "temperature")         # [(time_s, value), ...]
    events(db, "frost")                          # a yes-or-no quantity changed
    frames(db, "frost")   summary(db)   restart(db, "frost")

Tables: nodes, frames (raw payload kept), readings, receivers, rejected; events is a view over readings, so
that it can't disagree with them. Times are seconds UTC of the receiver. A node is named by its name or its
address.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..errors import CollectError
from .bthome import ON_OFF

_APPLICATION = 0x54505254  # "TPRT", SQLite's application_id
_VERSION = 1
_WAIT_S = 5.0

_SCHEMA = f"""
CREATE TABLE nodes(
    id INTEGER PRIMARY KEY, mac TEXT NOT NULL UNIQUE, name TEXT,
    encrypted INTEGER NOT NULL DEFAULT 0,  -- once it sent an encrypted frame: plain ones are forged
    restart_s INTEGER NOT NULL DEFAULT 0   -- counters of frames before this time don't count any more
);
CREATE TABLE frames(
    id INTEGER PRIMARY KEY, node INTEGER NOT NULL REFERENCES nodes,
    time_s INTEGER NOT NULL, ms INTEGER NOT NULL, rssi_dbm INTEGER NOT NULL,
    counter INTEGER, packet_id INTEGER, payload BLOB NOT NULL
);
CREATE INDEX frames_by_time ON frames(node, time_s);
CREATE INDEX frames_by_counter ON frames(node, counter);
CREATE TABLE readings(
    frame INTEGER NOT NULL REFERENCES frames, node INTEGER NOT NULL REFERENCES nodes, time_s INTEGER NOT NULL,
    quantity TEXT NOT NULL, value NOT NULL, unit TEXT NOT NULL
);
CREATE INDEX readings_by_quantity ON readings(node, quantity, time_s, value);
CREATE TABLE receivers(
    source TEXT PRIMARY KEY, offset INTEGER NOT NULL, identity BLOB NOT NULL, skipped_bytes INTEGER NOT NULL
);
CREATE TABLE rejected(
    mac TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, last_s INTEGER NOT NULL,
    PRIMARY KEY (mac, reason)
);
CREATE VIEW events AS
    SELECT node, frame, time_s, quantity, value AS state FROM (
        SELECT *, lag(value, 1, 0) OVER (PARTITION BY node, quantity ORDER BY time_s, frame) AS before
        FROM readings WHERE unit = '{ON_OFF}'
    ) WHERE value <> before;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
"""

_BUSY = ("another program is writing to it", "is a second collector running on the same file?")
_EXPLAINED = {
    sqlite3.SQLITE_FULL: ("the disk is full", "make room; nothing that was stored is lost"),
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_NOTADB: ("it is not an SQLite database", "name another file with --db; it is untouched"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", "move it away (sqlite3's .recover may help) and collect anew"),
    sqlite3.SQLITE_CANTOPEN: ("it can't be opened", "does its folder exist, and may this user write there?"),
    sqlite3.SQLITE_READONLY: ("it can't be written", "check the rights of the file and its folder"),
    sqlite3.SQLITE_PERM: ("it can't be opened", "check the rights of the file and its folder"),
    sqlite3.SQLITE_IOERR: ("reading or writing failed", "check the disk and its free space"),
}


@contextmanager
def explained(db: Path) -> Iterator[None]:
    """Turn SQLite's errors about the file `db` into CollectError; errors in our own SQL pass."""
    try:
        yield
    except sqlite3.Error as e:
        code = getattr(e, "sqlite_errorcode", None)
        if code is None or code & 0xFF not in _EXPLAINED:
            raise
        what, fix = _EXPLAINED[code & 0xFF]
        raise CollectError(f"{db}: {what}", fix) from None


def create(db: Path) -> sqlite3.Connection:
    """Open `db` for writing, made with its tables where it is new. Raises CollectError."""
    with explained(db):
        connection = sqlite3.connect(db, timeout=_WAIT_S, isolation_level=None)
        try:
            with transaction(connection):
                if not _checked(connection, db):
                    for statement in _SCHEMA.split(";\n"):
                        connection.execute(statement)
            connection.execute("PRAGMA journal_mode = WAL")
            # In WAL mode: nothing is lost by a kill; a power cut may take the last batches, offset included.
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything inside happens or nothing does; other writers wait from the first statement on."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors, such as a full disk, have already rolled back
            connection.execute("ROLLBACK")
        raise


def _checked(connection: sqlite3.Connection, db: Path) -> bool:
    """Is `db` ours? False: it is empty. Raises CollectError when it belongs to something else."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables and not application:
        return False
    if application != _APPLICATION:
        raise CollectError(f"{db}: a database of another program", "name another file with --db")
    if version != _VERSION:
        raise CollectError(f"{db}: made by another version of torpor", "name another file with --db")
    return True


@contextmanager
def _opened(db: Path, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    if not db.is_file():
        raise CollectError(f"{db}: no such database", "`torpor collect SOURCE --db FILE` makes one")
    with explained(db):
        uri = f"{db.resolve().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_S, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            if not _checked(connection, db):
                raise CollectError(f"{db}: an empty database", "`torpor collect SOURCE --db FILE` fills it")
            yield connection


def _nodes(connection: sqlite3.Connection, node: str) -> str:
    """Return the node's row ids as an SQL list; boards that were exchanged share a name."""
    rows = connection.execute("SELECT id FROM nodes WHERE name = ? OR mac = ? COLLATE NOCASE", (node, node))
    return ",".join(str(row["id"]) for row in rows)


def readings(db: Path, node: str, quantity: str) -> list[tuple[int, Any]]:
    """Return [(time_s, value)] in order of time, [] for a node that was never heard."""
    with _opened(db) as connection:
        return [
            (row["time_s"], row["value"])
            for row in connection.execute(
                f"SELECT time_s, value FROM readings WHERE node IN ({_nodes(connection, node)}) "
                "AND quantity = ? ORDER BY time_s, frame",
                (quantity,),
            )
        ]


def events(db: Path, node: str | None = None) -> list[dict[str, Any]]:
    """Return changes of yes-or-no quantities as dicts: time_s, node (name, else address), quantity, on.

    Before its first frame a quantity counts as off.
    """
    with _opened(db) as connection:
        chosen = "" if node is None else f"WHERE node IN ({_nodes(connection, node)})"
        return [
            {
                "time_s": row["time_s"],
                "node": row["who"],
                "quantity": row["quantity"],
                "on": bool(row["state"]),
            }
            for row in connection.execute(
                "SELECT events.*, coalesce(name, mac) AS who FROM events JOIN nodes ON nodes.id = node "
                f"{chosen} ORDER BY time_s, frame"
            )
        ]


def frames(db: Path, node: str) -> list[dict[str, Any]]:
    """Return accepted frames as dicts: time_s, ms, rssi_dbm, counter, packet_id, payload (bytes)."""
    with _opened(db) as connection:
        return [
            dict(row)
            for row in connection.execute(
                "SELECT time_s, ms, rssi_dbm, counter, packet_id, payload FROM frames "
                f"WHERE node IN ({_nodes(connection, node)}) ORDER BY time_s, ms, id"
            )
        ]


def summary(db: Path) -> dict[str, Any]:
    """Return what the database holds: nodes, receivers, and what was rejected why and how often."""
    with _opened(db) as connection:
        connection.execute("BEGIN")  # one consistent view, while a collector may be writing
        nodes = [
            dict(row)
            for row in connection.execute(
                "SELECT mac, name, encrypted, count(frames.id) AS frames, "
                "min(time_s) AS first_s, max(time_s) AS last_s FROM nodes "
                "LEFT JOIN frames ON frames.node = nodes.id GROUP BY nodes.id ORDER BY nodes.id"
            )
        ]
        receivers = connection.execute("SELECT source, offset, skipped_bytes FROM receivers").fetchall()
        rejected = connection.execute(
            "SELECT mac, reason, count, last_s FROM rejected ORDER BY mac, reason"
        ).fetchall()
        connection.execute("COMMIT")
    return {
        "db": str(db),
        "frames": sum(n["frames"] for n in nodes),
        "nodes": [n | {"encrypted": bool(n["encrypted"])} for n in nodes],
        "receivers": [dict(row) for row in receivers],
        "rejected": [dict(row) for row in rejected],
    }


def restart(db: Path, node: str) -> None:
    """Forget how far a node's frame counter got, for a board whose flash was erased: it begins at 0 again.

    Frames already stored stay. Raises CollectError for a node that was never heard.
    """
    with _opened(db, "rw") as connection, transaction(connection):
        ids = _nodes(connection, node)
        if not ids:
            raise CollectError(f"{node}: no frame of such a node is in {db}", "name it as `summary` does")
        connection.execute(
            "UPDATE nodes SET restart_s = "
            "(SELECT coalesce(max(time_s) + 1, 0) FROM frames WHERE node = nodes.id) "
            f"WHERE id IN ({ids})"
        )

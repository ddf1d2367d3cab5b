"""The gateway's database: its tables, the rules that make them append-only, and how it is opened.

SQLite only, for now; statements are SQLAlchemy Core, and what is SQLite's own (pragmas, triggers, `BEGIN IMMEDIATE`,
the upsert of a charge) stands here and in `sequencer`.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    DDL,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import DatabaseError

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.store.secrets import sync_directory

SCHEMA_VERSION = 1

_BUSY_TIMEOUT_S = 10.0
_WAL_PAGES_MAX = 4000
# Reads are short, so callers share a few connections instead of opening one each; the ledger's writer keeps one.
_CONNECTIONS_MAX = 8
_SCHEMA = MetaData()


def _table(name: str, *columns: Column[Any] | CheckConstraint) -> Table:
    return Table(name, _SCHEMA, *columns, sqlite_strict=True)


def _required(name: str, kind: type[Integer | Text | LargeBinary], *arguments: Any) -> Column[Any]:
    return Column(name, kind, *arguments, nullable=False)


def _entry() -> Column[Any]:
    """The ledger entry that made the row; written later in the same transaction, hence deferred."""
    reference = ForeignKey("ledger_entry.position", deferrable=True, initially="DEFERRED")
    return Column("entry", Integer, reference, primary_key=True, autoincrement=False)


schema_version = _table("schema_version", _required("version", Integer))

ledger_entry = _table(
    "ledger_entry",
    Column("position", Integer, primary_key=True, autoincrement=False),
    _required("salt", LargeBinary),
    _required("document", LargeBinary),
)
ledger_tile = _table(
    "ledger_tile",
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    _required("hashes", LargeBinary),
)
ledger_checkpoint = _table(
    "ledger_checkpoint", Column("size", Integer, primary_key=True, autoincrement=False), _required("note", Text)
)
charged_scope = _table(
    "charged_scope", Column("name", Text, primary_key=True), _required("spent", Integer), CheckConstraint("spent >= 0")
)
released_answer = _table(
    "released_answer",
    _entry(),
    Column("key", Text, unique=True, nullable=False),
    _required("request_digest", Text),
    _required("content", LargeBinary),
)
epoch = _table(
    "epoch",
    _entry(),
    _required("dataset", Text),
    _required("number", Integer),
    # NULL: the dataset was withdrawn while this epoch was current.
    Column("document", Text),
)
Index("epoch_number", epoch.c.dataset, epoch.c.number, unique=True, sqlite_where=epoch.c.document.is_not(None))
agreement = _table(
    "agreement", _entry(), _required("id", Text), _required("version", Integer), _required("document", Text)
)
Index("agreement_version", agreement.c.id, agreement.c.version, unique=True)
job = _table("job", _entry(), _required("digest", Text), _required("document", Text))


def _forbid(table: Table, change: str, when: str, reason: str) -> None:
    name = f"{table.name}_{change.split(maxsplit=1)[0].lower()}"
    trigger = f"CREATE TRIGGER {name} BEFORE {change} ON {table.name} {when} BEGIN SELECT RAISE(ABORT, '{reason}'); END"
    event.listen(table, "after_create", DDL(trigger.replace("%", "%%")).execute_if(dialect="sqlite"))


for _append_only in (ledger_entry, ledger_checkpoint, released_answer, epoch, agreement, job):
    _forbid(_append_only, "UPDATE", "", f"{_append_only.name} is append-only")
    _forbid(_append_only, "DELETE", "", f"{_append_only.name} is append-only")
_forbid(ledger_tile, "DELETE", "", "ledger_tile is append-only")
_forbid(
    ledger_tile,
    "UPDATE",
    "WHEN NEW.level <> OLD.level OR NEW.position <> OLD.position"
    " OR substr(NEW.hashes, 1, length(OLD.hashes)) IS NOT OLD.hashes",
    "a tile only grows",
)
_forbid(charged_scope, "DELETE", "", "charges are never refunded")
_forbid(charged_scope, "UPDATE", "WHEN NEW.name <> OLD.name OR NEW.spent < OLD.spent", "charges are never refunded")


def open_database(path: Path) -> Engine:
    """Open the gateway's database, and create it (mode 0600) if there is none.

    Every connection is in WAL mode with `synchronous=FULL`: what is committed is on disk. Connections are in
    autocommit mode: a statement is a transaction, and who needs more says BEGIN. Several processes may have the
    database open at once. The caller disposes of the engine.

    Raises:
        Refusal: BAD_CONFIGURATION if the file is no database of this schema version or cannot be opened.
    """
    is_new = not path.exists()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    engine = create_engine(
        f"sqlite:///{path}",
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": _BUSY_TIMEOUT_S},
        pool_size=_CONNECTIONS_MAX,
        max_overflow=0,
        pool_use_lifo=True,
    )
    event.listen(engine, "connect", _configure)
    try:
        with engine.connect() as connection:
            _create_or_check(connection)
    except DatabaseError as error:
        engine.dispose()
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"Database {path}.", private=str(error)) from error
    except Refusal:
        engine.dispose()
        raise
    if is_new:
        sync_directory(path.parent)
    return engine


def _configure(connection: Any, _record: object) -> None:
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "trusted_schema = OFF",
        f"wal_autocheckpoint = {_WAL_PAGES_MAX}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _create_or_check(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        tables = inspect(connection).get_table_names()
        if not tables:
            _SCHEMA.create_all(connection, checkfirst=False)
            connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))
        elif schema_version.name not in tables:
            raise Refusal(ErrorKind.BAD_CONFIGURATION, "The database file belongs to another program.")
        found = connection.execute(select(schema_version.c.version)).scalars().all()
        if found != [SCHEMA_VERSION]:
            detail = f"The database has schema version {found}; this release reads version {SCHEMA_VERSION}."
            raise Refusal(ErrorKind.BAD_CONFIGURATION, detail)
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


@contextmanager
def snapshot(engine: Engine) -> Generator[Connection]:
    """A connection whose reads all see one moment, whatever other processes write meanwhile."""
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        try:
            yield connection
        finally:
            connection.exec_driver_sql("ROLLBACK")

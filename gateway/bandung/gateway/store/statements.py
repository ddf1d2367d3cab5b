"""What the ledger says to the database, compiled once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, bindparam, func, literal_column, select
from sqlalchemy.dialects.sqlite import insert

from bandung.gateway.store.database import (
    charged_scope,
    ledger_checkpoint,
    ledger_entry,
    ledger_tile,
    released_answer,
)


class Prepared:
    """A statement compiled once and run on the driver's own cursor: some 15 µs less for each run."""

    def __init__(self, engine: Engine, statement: Any) -> None:
        compiled = statement.compile(dialect=engine.dialect)
        self._text = str(compiled)
        self._names: list[str] = compiled.positiontup or []
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}

    def run(self, cursor: Any, **values: object) -> Any:
        """Run with values by name and return the cursor."""
        every = self._fixed | values
        return cursor.execute(self._text, [every[name] for name in self._names])

    def run_many(self, cursor: Any, rows: list[tuple[Any, ...]]) -> None:
        """Run for each row of values in the statement's own order."""
        cursor.executemany(self._text, rows)


class Statements:
    """What the writer says to the database."""

    def __init__(self, engine: Engine) -> None:
        self.newest_size = Prepared(engine, select(func.max(ledger_checkpoint.c.size)))
        self.put_entry = Prepared(engine, insert(ledger_entry))
        self.put_checkpoint = Prepared(engine, insert(ledger_checkpoint))
        self.put_answer = Prepared(engine, insert(released_answer))
        self.charge = Prepared(engine, _charge())
        tile = insert(ledger_tile)
        grown = tile.on_conflict_do_update(
            index_elements=[ledger_tile.c.level, ledger_tile.c.position], set_={"hashes": tile.excluded.hashes}
        )
        self.put_tile = Prepared(engine, grown)
        key = released_answer.c.key == bindparam("key")
        self.answered_request = Prepared(engine, select(released_answer.c.request_digest).where(key))


def _charge() -> Any:
    """Add to a scope, made at its first use, unless that goes over the cap: then no row changes."""
    amount, cap = bindparam("amount", type_=charged_scope.c.spent.type), bindparam("cap")
    first = select(bindparam("scope", type_=charged_scope.c.name.type), amount).where(amount <= cap)
    charge = insert(charged_scope).from_select(["name", "spent"], first)
    spent = charged_scope.c.spent + literal_column("excluded.spent")
    return charge.on_conflict_do_update(
        index_elements=[charged_scope.c.name], set_={"spent": spent}, where=spent <= bindparam("cap")
    )

"""docs/ledger.md says what is so."""

import re
from pathlib import Path

from sqlalchemy import inspect

from bandung.gateway.domain.budget import Charge
from tests.support.ledgers import ORIGIN, a_commit, a_ledger, an_answer

TEXT = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()


def test_the_check_by_hand_runs_and_holds(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    with a_ledger(tmp_path) as opened:
        for _ in range(300):
            opened.ledger.commit(a_commit())
        given = {
            "database": tmp_path / "gateway.db",
            "origin": ORIGIN,
            "verifier_key": opened.secrets.ledger_key().public_key(),
        }
    exec(program, given)
    assert given["head"].size == 300


def test_every_table_and_every_field_of_a_document_is_described(tmp_path):
    with a_ledger(tmp_path) as opened:
        opened.ledger.submit(a_commit(Charge("tables", 1, 5), answer=an_answer()), attached="text")
        with opened.engine.connect() as connection:
            tables = inspect(connection).get_table_names()
            fields = connection.exec_driver_sql("SELECT key FROM ledger_entry, json_each(CAST(document AS TEXT))").all()
    rows = set(re.findall(r"`(\w+)`", "\n".join(line for line in TEXT.splitlines() if line.startswith("|"))))
    assert set(tables) <= rows
    assert {field for (field,) in fields} <= rows

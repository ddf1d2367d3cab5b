"""Both built-in connectors pass the public suite, in every format and on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from bandung.connectors.conformance import CHECKS, LIVE_CHECKS, Check, check_connector
from tests.support.postgres import Databases
from tests.support.sources import FORMATS, database, files


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("check", [*CHECKS, *LIVE_CHECKS], ids=lambda check: check.__name__)
def test_files_conform(check: Check, format_: str, tmp_path: Path):
    check(files(tmp_path, format_))


@pytest.mark.parametrize("check", [*CHECKS, *LIVE_CHECKS], ids=lambda check: check.__name__)
def test_postgresql_conforms(check: Check, postgres: Databases):
    check(database(postgres()))


def test_sqlite_conforms_as_far_as_it_says(tmp_path: Path):
    check_connector(database(f"sqlite:///{tmp_path / 'source.db'}"))

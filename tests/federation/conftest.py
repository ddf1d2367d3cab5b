"""Warnings of other people's code that these tests cannot avoid."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # flwr imports typer, and this typer imports names that click deprecates; neither is ours to change.
    config.addinivalue_line("filterwarnings", "ignore:'click.utils:DeprecationWarning")
    # flwr's FAB builder names a pattern class that pathspec has renamed.
    config.addinivalue_line("filterwarnings", "ignore:GitWildMatchPattern:DeprecationWarning")

"""Connectors are found by name; a third party's by its entry point."""

from __future__ import annotations

from pathlib import Path

import pytest

from bandung.connectors.base import OptionError, SourceError
from bandung.connectors.files import FilesConnector
from bandung.connectors.registry import open_connector, registered

THIRD_PARTY = """
from bandung.connectors.base import Capabilities


class Abacus:
    def __init__(self, options, base, environment):
        self.opened_with = (dict(options), str(base), dict(environment))

    @classmethod
    def open(cls, options, base, environment):
        return cls(options, base, environment)

    @property
    def capabilities(self):
        return Capabilities(live=False, writes_keys=False)

    def close(self):
        pass
"""


def install(directory: Path, name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a distribution on the path, as pip would."""
    (directory / f"{module}.py").write_text(THIRD_PARTY)
    metadata = directory / f"{module}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[bandung.connectors]\n{name} = {module}:Abacus\n")
    monkeypatch.syspath_prepend(str(directory))


def test_the_built_in_connectors_are_registered():
    assert {"files", "sqlalchemy"} <= set(registered())
    assert isinstance(open_connector("files", {}, Path(), {}), FilesConnector)


def test_a_third_partys_connector_is_opened_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install(tmp_path, "abacus", "bandung_abacus_connector", monkeypatch)
    assert "abacus" in registered()
    opened = open_connector("abacus", {"beads": "10"}, tmp_path, {"HOME": "/"})
    assert opened.opened_with == ({"beads": "10"}, str(tmp_path), {"HOME": "/"})  # type: ignore[attr-defined]


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(OptionError, match=r"no connector nowhere.*files.*sqlalchemy"):
        open_connector("nowhere", {}, Path(), {})


def test_a_name_that_two_packages_claim_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install(tmp_path, "files", "bandung_other_files", monkeypatch)
    with pytest.raises(OptionError, match="several installed packages"):
        open_connector("files", {}, Path(), {})


def test_files_refuse_to_hold_keys(tmp_path: Path):
    connector = open_connector("files", {}, tmp_path, {})
    with pytest.raises(SourceError):
        connector.write_keys(None, "k", None, None)  # type: ignore[arg-type]

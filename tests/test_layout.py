"""The shape of the project: what may exist where."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOTS = [ROOT / "gateway" / "bandung", ROOT / "federation" / "bandung", ROOT / "connectors" / "bandung"]


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def test_the_namespace_package_has_no_init_file() -> None:
    assert [root for root in ROOTS if (root / "__init__.py").exists()] == []


def test_there_is_no_drawer_for_leftovers() -> None:
    names = {"common", "utils", "util", "helpers", "helper", "manager", "managers", "misc"}
    assert [path for root in ROOTS for path in root.rglob("*.py") if names & {path.stem, path.parent.name}] == []


def test_every_package_is_typed() -> None:
    assert [root for root in ROOTS if not list(root.glob("*/py.typed"))] == []


def test_lock_files_name_no_registry_and_pin_every_package_with_hashes() -> None:
    for name in ("requirements.lock", "demo.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        pinned = re.findall(r"^[A-Za-z0-9._-]+==", text, re.MULTILINE)
        with_hash = re.findall(r"^[A-Za-z0-9._-]+==[^\n]*\\\n\s+--hash=sha256:", text, re.MULTILINE)
        assert pinned
        assert len(pinned) == len(with_hash)


def test_the_lock_holds_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = (ROOT / "requirements.lock").read_text().lower()
    for requirement in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]:
        name = re.split(r"[\[<>=~ ]", requirement)[0].lower().replace("_", "-")
        assert f"\n{name}==" in f"\n{lock}", f"{name} is not in requirements.lock: run `make lock`"


def test_every_dependency_is_named_with_its_reason_in_the_readme() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    readme = (ROOT / "README.md").read_text().lower()
    groups = project["dependency-groups"]
    for requirement in [*project["project"]["dependencies"], *groups["dev"], *groups["demo"]]:
        name = re.split(r"[\[<>=~ ]", requirement)[0].lower()
        assert f"`{name}`" in readme, f"{name} has no row in the README's table of dependencies"


def test_every_make_target_is_explained() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    explained = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    assert set(phony[1].split()) == explained


def test_no_tracked_file_is_a_symbolic_link_out_of_the_repository() -> None:
    assert [path for path in tracked_files() if path.is_symlink()] == []


def test_every_document_that_is_linked_or_named_exists() -> None:
    named = re.compile(r"\]\((?!https?:|#)([^)#]+)|`(docs/[a-z-]+\.md)`")
    missing = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]:
        for match in named.finditer(page.read_text()):
            target = ROOT / match[2] if match[2] else page.parent / match[1]
            if not target.exists():
                missing.append((page.name, match[1] or match[2]))
    assert missing == []


def test_nothing_tracked_names_a_path_of_the_machine_it_was_made_on() -> None:
    home = re.compile(r"/(?:home|Users|root|work)/[a-z]")
    texts = [path for path in tracked_files() if path.suffix in {".py", ".md", ".toml", ".proto", ".yaml", ".sql"}]
    allowed = {"test_layout.py"}
    assert [path.name for path in texts if path.name not in allowed and home.search(path.read_text())] == []

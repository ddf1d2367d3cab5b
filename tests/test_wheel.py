"""The wheel: built from this tree, installed elsewhere, and used without the repository."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment that has the wheel and this environment's dependencies, but not the editable install."""
    home = tmp_path_factory.mktemp("elsewhere")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", home, cwd=ROOT)
    (wheel,) = home.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", home / "venv", cwd=home)
    python = home / "venv" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--quiet", "--python", python, "install", "--no-deps", wheel, cwd=home)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", cwd=home).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    return home


def test_the_command_works_outside_the_repository(elsewhere: Path) -> None:
    assert run(elsewhere / "venv" / "bin" / "bandung", "--version", cwd=elsewhere).startswith("bandung 0.")
    run(
        elsewhere / "venv" / "bin" / "bandung",
        "gateway",
        "init",
        "idn",
        "--member",
        "IDN",
        "--trust-domain",
        "idn.example",
        cwd=elsewhere,
    )
    assert (elsewhere / "idn" / "gateway.toml").is_file()


def test_all_three_packages_come_from_the_wheel_typed_and_with_their_data(elsewhere: Path) -> None:
    program = """
import json
from importlib.metadata import entry_points
from importlib.resources import files
import bandung.connectors, bandung.federation, bandung.gateway
import bandung.gateway.server.flight_pb.pool
packages = (bandung.connectors, bandung.federation, bandung.gateway)
print(json.dumps({
    "files": [package.__file__ for package in packages],
    "typed": [files(package).joinpath("py.typed").is_file() for package in packages],
    "connectors": sorted(point.name for point in entry_points(group="bandung.connectors")),
}))
"""
    found = json.loads(run(elsewhere / "venv" / "bin" / "python", "-c", program, cwd=elsewhere))
    assert all(file.startswith(str(elsewhere)) for file in found["files"])
    assert found["typed"] == [True, True, True]
    assert found["connectors"] == ["files", "sqlalchemy"]

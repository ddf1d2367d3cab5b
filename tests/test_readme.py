"""The README's blocks run, in order, as one story in an empty folder."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
KINDS = {"sh", "python", "toml", "make", "text"}


def blocks() -> list[tuple[str, str]]:
    return [(match["kind"], match["body"]) for match in BLOCK.finditer((ROOT / "README.md").read_text())]


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def script() -> str:
    """One bash script: shell blocks as they are, Python blocks by the interpreter, files as they are named."""
    clean_up = "bandung sandbox down sandbox >/dev/null 2>&1 || :; kill $(jobs -p) 2>/dev/null || :; wait"
    lines = ["set -euo pipefail", f"trap '{clean_up}' EXIT"]
    for kind, body in blocks():
        if kind == "sh":
            lines.append(body)
        elif kind == "python":
            lines.append(f"python - <<'END_OF_PYTHON'\n{body}END_OF_PYTHON")
        elif kind == "toml":
            name = re.match(r"# (\S+\.toml)\n", body)
            assert name is not None, "a TOML block begins with its file name in a comment"
            lines.append(f"cat > {name[1]} <<'END_OF_TOML'\n{body}END_OF_TOML")
    return "\n".join(lines)


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert {kind for kind, _ in blocks()} <= KINDS


def test_every_make_command_shown_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = [line for kind, body in blocks() if kind == "make" for line in body.splitlines()]
    assert shown
    for line in shown:
        assert line.split("#")[0].split()[1] in targets


@pytest.mark.timeout(240)
def test_the_story_of_the_readme_runs(tmp_path: Path) -> None:
    text = script().replace("8815", str(a_free_port()))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr

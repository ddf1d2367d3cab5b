"""The ground that attacks are fought on: one gateway for all of them, each policy, one analyst and two who collude."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.attacking import POLICIES, REPORTED, Analysts, Ground, a_ground


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with a_ground(tmp_path_factory.mktemp("attacks")) as ground:
        yield ground


@pytest.fixture(params=list(POLICIES))
def policy(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[1, 2], ids=["one analyst", "two colluding"])
def analysts(request: pytest.FixtureRequest, ground: Ground) -> Analysts:
    return ground.analysts(request.param)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if REPORTED and terminalreporter.config.get_verbosity() > 0:
        terminalreporter.section("advantages")
        for test, found in REPORTED:
            terminalreporter.write_line(f"{found:.2f}  {test}")

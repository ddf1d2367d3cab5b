"""The countries of the demonstration, up and running, and how they are asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from bandung.federation.domain.member import Member, members_of
from bandung.federation.domain.study import Answered, Outcome, answered
from bandung.federation.sandbox.lifecycle import down, status, up
from bandung.federation.statistics.fan_out import ask
from bandung.federation.statistics.show import line
from bandung.federation.superlink.client import CoordinatorClient
from bandung.gateway.client import GatewayClient, Identity

ANALYST = "IDN/analyst-1"


class Countries:
    """A sandbox of countries, seen by an Indonesian statistician.

    Attributes:
        answers: every table that was released, in order.
        bytes: that crossed borders: answers to questions, and whatever training moved.
    """

    def __init__(self, directory: Path, console: Console) -> None:
        self.directory = directory
        self._console = console
        self._document = json.loads((directory / "sandbox.json").read_text())
        self.answers: list[Answered] = []
        self.bytes = 0

    def member(self, country: str, principal: str = ANALYST) -> Member:
        """Return a country's gateway as one of its principals sees it."""
        members = members_of(self._document, principal, self.directory)
        return next(member for member in members if member.id == country)

    def client(self, country: str, principal: str = ANALYST) -> GatewayClient:
        """Connect to a country's gateway."""
        member = self.member(country, principal)
        return GatewayClient(member.address, Identity(member.ca, member.certificate, member.key))

    def coordinator(self) -> CoordinatorClient:
        """Connect to the coordinator."""
        place = self._document["coordinator"]
        return CoordinatorClient(place["address"], Path(place["ca"]), Path(place["token_file"]).read_text())

    def ask(self, sql: str, *countries: str) -> tuple[Outcome, ...]:
        """Ask countries a question, showing it and a line for each answer."""
        self._console.print(f"  [bold]{sql}[/]", highlight=False)
        members = [self.member(country) for country in countries]
        outcomes = ask(members, sql, on_progress=lambda o: self._console.print(f"  {o.member}  {line(o)}", style="dim"))
        self.answers += answered(outcomes)
        self.bytes += sum(answer.bytes for answer in answered(outcomes))
        return outcomes


@contextmanager
def running(directory: Path, members_file: Path, console: Console) -> Iterator[Countries]:
    """Start every country and the coordinator; stop all of it at the end, whatever happens."""
    if directory.exists():
        down(directory)
        shutil.rmtree(directory)
    try:
        up(directory, members_file, progress=lambda text: console.print(f"  {text} …", style="dim"))
        yield Countries(directory.resolve(), console)
    finally:
        down(directory.resolve())


def left_running(directory: Path) -> list[str]:
    """Return the names of processes that should be gone."""
    return [part.name for part in status(directory.resolve()) if part.status != "STOPPED"]

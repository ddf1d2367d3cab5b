"""Shows a job while it runs: a bar per country, one line for whatever changes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bandung.federation.training.exchange import JobState

_OUTCOMES = {"answer": "answered", "refused": "refused", "lost": "lost"}


def watch(events: Iterable[dict[str, Any]], *, as_json: bool) -> JobState | None:
    """Show events until they end, and return the last state.

    Args:
        as_json: write each event as one JSON line instead.
    """
    state: JobState | None = None
    with _Display(as_json=as_json) as display:
        for event in events:
            display.show(event)
            if event.get("type") == "state":
                state = JobState(event["state"])
    return state


class _Display:
    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:<6}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=as_json or not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._bytes: dict[str, int] = {}

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: dict[str, Any]) -> None:
        if self._as_json:
            typer.echo(json.dumps(event, ensure_ascii=False))
        elif event["type"] == "round":
            self._round(event)
        elif line := _line(event):
            self._console.print(line, highlight=False)

    def _round(self, event: dict[str, Any]) -> None:
        member = event["member"]
        self._bytes[member] = self._bytes.get(member, 0) + event["bytes"]
        said = f"{_OUTCOMES.get(event['outcome'], event['outcome'])}, {self._bytes[member] / 1000:.1f} kB"
        if member not in self._tasks:
            self._tasks[member] = self._progress.add_task(member, total=event["rounds_max"], said="")
        self._progress.update(self._tasks[member], completed=event["step"], said=said)
        if self._progress.disable:
            what = (
                "evaluation"
                if event["kind"] == "evaluate"
                else f"step {event['step']} of at most {event['rounds_max']}"
            )
            self._console.print(f"{what}: {member} {said}", highlight=False)


def _line(event: dict[str, Any]) -> str:
    reason = f": {event['reason']}" if event.get("reason") else ""
    match event["type"]:
        case "state":
            return f"job {event['state']}{reason}"
        case "phase":
            return f"{event['phase'].lower().replace('_', ' ')}{reason}"
        case "step":
            return f"step {event['step']}: largest change of a coefficient {event['change']:.3g}"
        case "member":
            return f"{event['member']} is out: {event['out']}"
        case "evaluation":
            told = f"refused: {event['refused']}" if "refused" in event else "measured the model on its held-out units"
            return f"{event['member']} {told}"
        case _:
            return ""

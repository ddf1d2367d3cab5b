"""What the demonstration promises: said while it runs, counted at the end."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape


@dataclass
class Promises:
    """Checks what was promised and remembers what failed."""

    console: Console
    broken: list[str] = field(default_factory=list)
    kept: int = 0

    def check(self, promise: str, *, holds: bool) -> None:
        """Note one promise."""
        if holds:
            self.kept += 1
            self.console.print(f"  [green]✓[/] {escape(promise)}")
        else:
            self.broken.append(promise)
            self.console.print(f"  [bold red]✗ {escape(promise)}[/]")

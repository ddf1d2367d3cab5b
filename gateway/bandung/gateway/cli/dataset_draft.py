"""Drafts a declaration from a file: its columns guessed from what they hold, to be completed by the custodian."""

from __future__ import annotations

import json
import math
import re
import shlex
import textwrap
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from bandung.connectors.base import Stop, View
from bandung.gateway.cli.console import ExitCode, Failure
from bandung.gateway.cli.dataset_seen import VALUES_MAX, Seen, look
from bandung.gateway.domain.declaration import RESERVED_COLUMNS, parse_source
from bandung.gateway.domain.declaration_columns import FIXED_POINT_MAX
from bandung.gateway.domain.declaration_form import country_code
from bandung.gateway.planning.grammar import is_bare
from bandung.gateway.service.check_dataset import TO_COMPLETE, refusing
from bandung.gateway.store.sources import Sources

_WHOLE_NUMBER_CODES_MAX = 12
_CODE_LENGTH_MAX = 60
_NAME_LENGTH_MAX = 40
_SOURCE_LENGTH_MAX = 200
_SUM_MAX = 2**62
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WEIGHT = re.compile(r"(^|_)(p?weights?|wg?ts?|pond[a-z]*|poids|bobot|fexp?)(_|\d|$)")


def draft(data: Path, country: str, unit: str | None, options: Sequence[str]) -> str:
    """Return a declaration of a file as TOML text.

    Args:
        unit: column that identifies who is protected.
        options: lines of the section `[source]`.

    Raises:
        Failure: there is nothing to draft from, no such column, or no such country code.
        Refusal: SOURCE_UNAVAILABLE or BAD_DECLARATION.
    """
    try:
        country_code(country)
    except ValueError as error:
        raise Failure(f"--country {error}.", ExitCode.USAGE) from error
    settings = _settings(options)
    seen, rows_max = _look(data, settings, unit)
    columns = {name: column for name, column in seen.items() if name != unit}
    names = _names(columns)
    sections = [line for name, column in columns.items() for line in _column(name, names[name], column)]
    if not any(line.startswith("[") for line in sections):
        sections += ["", f"# {TO_COMPLETE}: declare at least one column, in a section [columns.NAME]."]
    head = _head(data, country, settings)
    return "\n".join([*head, *_unit(unit, rows_max), *sections, *_TAIL])


def _settings(options: Sequence[str]) -> dict[str, object]:
    """Return the options that lines of `[source]` set; what is no TOML is a text, as in `delimiter=;`."""
    settings: dict[str, object] = {}
    for line in options:
        name, sign, text = line.partition("=")
        if not sign or name.strip() in {"connector", "relation", "join"}:
            raise Failure("--option takes NAME=VALUE, an option of the connector files (docs/connectors.md).")
        try:
            settings |= tomllib.loads(line)
        except tomllib.TOMLDecodeError:
            settings[name.strip()] = text
    return settings


def _look(data: Path, settings: Mapping[str, object], unit: str | None) -> tuple[dict[str, Seen], int]:
    """Return what was seen of each column, and the most rows of one unit."""
    source = parse_source({**settings, "connector": "files", "relation": data.name}, str(data.resolve().parent))
    with closing(Sources({}).open(source)) as connector, refusing():
        names = connector.schema(data.name).names
        if unit is not None and unit not in names:
            raise Failure(f"{data} has no column {unit!r}; it has: {', '.join(names)}.")
        if len(names) == 1 and (found := re.search(r"[;\t|]", names[0])):
            delimiter = shlex.quote(f"delimiter={_toml(found[0])}")
            raise Failure(f"{data} has a single column; is its delimiter another one? --option {delimiter}")
        seen = look(connector, data.name)
        if not any(column.present + column.missing for column in seen.values()):
            raise Failure(f"{data} has no rows: there is nothing to draft from.")
        rows_max = connector.profile(View(data.name, (), unit), (), Stop()).rows_per_unit_max if unit else 1
    return seen, rows_max


def _head(data: Path, country: str, settings: Mapping[str, object]) -> Iterable[str]:
    yield f"# Drafted from {data.name}. Complete what says {TO_COMPLETE}, then: bandung dataset check FILE"
    yield "[dataset]"
    yield "# SQL name."
    yield f"name = {_toml(_name(data.stem))}"
    for key in ("title", "description", "licence", "period"):
        yield f'{key} = "{TO_COMPLETE}"'
    yield f"country = {_toml(country)}"
    yield ""
    yield "# Where the rows are: the file, beside this one, and how it is read."
    yield "[source]"
    yield 'connector = "files"'
    yield f"relation = {_toml(data.name)}"
    for key, value in settings.items():
        yield f"{key} = {_toml(value)}"


def _unit(column: str | None, rows_max: int) -> Iterable[str]:
    yield ""
    yield "# Who or what is protected, and the column that identifies it (several rows may belong to one unit)."
    yield "[unit]"
    yield 'name = "person"'
    yield "rows = true" if column is None else f"column = {_toml(column)}"
    if rows_max > 1:
        yield "# The most rows of one unit that occur. It is public: declare the most that can occur."
        yield f"rows_max = {rows_max}"


_TAIL = (
    "",
    "# What must hold before anything leaves; the defaults are those of a cautious statistical office.",
    "[policy]",
    'kind = "table-builder"',
    "",
    "# Training jobs may use this dataset only if this says so.",
    "[training]",
    "allowed = false",
    "",
)


def _column(source: str, name: str, seen: Seen) -> Iterable[str]:
    yield ""
    if seen.marks:
        null = shlex.quote("null=" + json.dumps(seen.marks, ensure_ascii=False, separators=(",", ":")))
        yield from _comment(
            f"The values of {_toml(source)} are read as text: numbers, but for {', '.join(map(_toml, seen.marks))}. If "
            f"that stands for no value, draft again with --option {null} (of a CSV file)."
        )
    weighs = seen.number and _WEIGHT.search(name) is not None
    if (reason := _unfit(source, seen)) is not None:
        yield from _left_out(source, reason)
    elif _are_codes(seen) and not weighs:
        yield from _dimension(source, name, seen)
    elif not seen.number:
        yield from _left_out(source, _no_code_list(source, seen))
    elif weighs or not seen.identifying:
        yield from _measure(source, name, seen, weighs=weighs)
    else:
        yield from _left_out(source, f"{_identifier(source)}. If it is an amount, declare what follows")
        yield from (f"# {line}" for line in _measure(source, name, seen) if not line.startswith("#"))


def _unfit(source: str, seen: Seen) -> str | None:
    """Say why a column can be neither a dimension nor a measure, if it cannot."""
    if not seen.present:
        return "no row has a value"
    if len(source) > _SOURCE_LENGTH_MAX:
        return f"its name has more than {_SOURCE_LENGTH_MAX} characters"
    if not seen.finite:
        return "not all of its numbers are finite"
    largest = max(-seen.minimum, seen.maximum) * 10**seen.decimals
    if largest > FIXED_POINT_MAX or largest * (seen.present + seen.missing) >= _SUM_MAX:
        return "its numbers are too large to be added up exactly"
    return None


def _are_codes(seen: Seen) -> bool:
    most = _WHOLE_NUMBER_CODES_MAX if seen.number else VALUES_MAX
    return 0 < len(seen.values) <= most and all(map(_is_code, map(str, seen.values)))


def _is_code(text: str) -> bool:
    return text.strip() != "" and len(text) <= _CODE_LENGTH_MAX and not _CONTROL.search(text)


def _no_code_list(source: str, seen: Seen) -> str:
    """Say why a column of texts is no dimension."""
    if seen.marks:
        return "see above"
    if seen.dates:
        return "dates are read as texts, which have no bands. Add a column of years or of ages to the file"
    if seen.commas:
        return "its numbers have a decimal comma. Draft again with --option decimal=, (of a CSV file)"
    if len(seen.values) <= VALUES_MAX:
        return f"a code is not blank, on one line, and of at most {_CODE_LENGTH_MAX} characters"
    if seen.identifying:
        return _identifier(source)
    return "too many different texts for a code list. Group them in the file"


def _identifier(source: str) -> str:
    unit = shlex.quote(source)
    return f"nearly every row has a value of its own. If it tells who is protected, draft again: --unit {unit}"


def _left_out(source: str, reason: str) -> Iterable[str]:
    return _comment(f"{_toml(source)} is left out: {reason}.")


def _dimension(source: str, name: str, seen: Seen) -> Iterable[str]:
    yield "# These codes occur in the data. List every code that may exist."
    yield from _opening(source, name, "dimension")
    yield "codes = ["
    bare = {str(value).strip() for value in seen.values}
    for value in sorted(seen.values, key=lambda value: (isinstance(value, str), value)):
        # Spaces at the ends belong to the data, not to their meaning; not so where only they tell two values apart.
        code = _toml(str(value).strip() if len(bare) == len(seen.values) else str(value))
        yield f"  {{ code = {code}, label = {code}, values = [{_toml(value)}] }},"
    yield "]"
    if seen.missing:
        yield "# Rows without a value are a category of their own."
        yield 'missing = "missing"'


def _measure(source: str, name: str, seen: Seen, *, weighs: bool = False) -> Iterable[str]:
    if weighs:
        yield '# A survey weight, by its name; if it is something else, role = "measure".'
    yield f"# {TO_COMPLETE}: widen the range to what can occur, not only to what did."
    yield from _opening(source, name, "weight" if weighs else "measure")
    yield '# Numbers that stand for no value, as -99 or 999: missing_values = [-99], with missing = "allowed".'
    yield f"range = [{math.floor(seen.minimum)}, {math.ceil(seen.maximum)}]"
    if not weighs:
        yield f'unit = "{TO_COMPLETE}"'
    if seen.decimals:
        yield f"decimals = {seen.decimals}"
    if seen.missing:
        yield 'missing = "allowed"'


def _opening(source: str, name: str, role: str) -> Iterable[str]:
    yield f"[columns.{name}]"
    yield f'role = "{role}"'
    yield f"label = {_toml(source)}"
    if name != source:
        yield f"source = {_toml(source)}"


def _names(sources: Iterable[str]) -> dict[str, str]:
    """Return a name of its own for each source column."""
    names: dict[str, str] = {}
    for source in sources:
        first = name = _name(source)
        number = 1
        while name in names.values():
            number += 1
            name = f"{first[: _NAME_LENGTH_MAX - 5]}_{number}"
        names[source] = name
    return names


def _name(text: str) -> str:
    """Return the nearest name that SQL needs no quotes for: lower-case letters, digits, underscores."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:_NAME_LENGTH_MAX]
    if re.match("[a-z]", name) and name not in RESERVED_COLUMNS and is_bare(name):
        return name
    return f"c_{name}"[:_NAME_LENGTH_MAX].strip("_")


def _comment(text: str) -> Iterable[str]:
    return textwrap.wrap(
        text, 120, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )


def _toml(value: object) -> str:
    """Return a text, number, truth value or list of texts as TOML."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

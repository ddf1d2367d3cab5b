"""A view's declaration, as loaded from TOML, to a `GovernedView`; or every problem of the file at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from bandung.gateway.domain.dataset import Dimension
from bandung.gateway.domain.declaration import column_form, column_sections, digest_of, section_of
from bandung.gateway.domain.declaration_columns import Problems, dimension
from bandung.gateway.domain.declaration_form import DimensionForm, Name, Section, Text
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.view import GovernedView, ViewMeasure

_NEEDLESS = {"scale", "offset", "parent", "missing_values"}


class ViewAboutSection(Section):
    """`[dataset]` of a view: what it shows. The rest is its base's."""

    name: Name
    title: Text
    description: Text


class ViewSection(Section):
    """`[view]`: the published dataset whose rows it shows."""

    of: Name


class ViewDimensionForm(DimensionForm):
    """`[columns.<name>]` of a view with `role = "dimension"`: its `source` is a column of the base."""


class ViewMeasureForm(Section):
    """`[columns.<name>]` of a view with `role = "measure"`: a measure of the base, or the sum of several."""

    role: Literal["measure"]
    label: Text | None = None
    source: Name | Annotated[tuple[Name, ...], Field(min_length=1, max_length=50)]


def parse_view(document: Mapping[str, object]) -> GovernedView:
    """Return the view that a declaration with a section `[view]` describes.

    Raises:
        Refusal: BAD_DECLARATION, listing each problem of the file as `key.path: reason`.
    """
    problems = Problems()
    for name in document.keys() - {"dataset", "view", "columns"}:
        problems.add(name, "is not a section of a view: source, unit, policy and training are its base's")
    about = section_of(document, "dataset", ViewAboutSection, problems)
    view = section_of(document, "view", ViewSection, problems)
    columns = _columns(document, problems)
    if about and view and about.name == view.of:
        problems.add("dataset.name", "is the name of the base")
    if problems.found or not (about and view):
        raise Refusal(ErrorKind.BAD_DECLARATION, "; ".join(sorted(problems.found)) + ".")
    return GovernedView(about.name, about.title, about.description, view.of, columns, digest_of(document))


def _columns(document: Mapping[str, object], problems: Problems) -> tuple[Dimension | ViewMeasure, ...]:
    forms = {"dimension": ViewDimensionForm, "measure": ViewMeasureForm}
    found: list[Dimension | ViewMeasure] = []
    for name, section in column_sections(document.get("columns"), problems).items():
        form, path = column_form(name, section, forms, problems), f"columns.{name}"
        if isinstance(form, ViewMeasureForm):
            sources = (form.source,) if isinstance(form.source, str) else form.source
            found.append(ViewMeasure(name, form.label or name, sources))
        elif isinstance(form, ViewDimensionForm):
            _check(form, path, problems)
            found.append(dimension(name, form, path, problems))
    return tuple(found)


def _check(form: ViewDimensionForm, path: str, problems: Problems) -> None:
    for key in sorted(form.model_fields_set & _NEEDLESS):
        problems.add(f"{path}.{key}", "is not a key of a view's column")
    if any(entry.parent is not None for entry in form.codes or ()):
        problems.add(f"{path}.codes", "parent is not a key of a view's codes")
    if form.codes is not None and form.missing is not None:
        problems.add(f"{path}.missing", "what is missing has a code of the base already; list it in values")

"""Reading a model: its card as text for a statistician, and its predictions for a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bandung.federation.domain.model_card import ModelCard, Participant
from bandung.gateway.client.jobs import Term

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BadTable(ValueError):
    """A table cannot be predicted for; the text names the column."""


def render(card: ModelCard) -> str:
    """Return the card as Markdown."""
    sections = (_head(card), _coefficients(card), _countries(card), _course(card), _caveats(card))
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def predict(card: ModelCard, table: pa.Table) -> pa.Table:
    """Append predictions to a table.

    Args:
        table: a column for each column that a feature names: dimensions as text, measures as numbers; with country
            intercepts also `country`, the member's id.

    Returns:
        The table with two more columns, float64: `prediction`, on the scale of the target as modelled (a logarithm
        stays a logarithm; binomial: the probability), and `standard_error` of the linear predictor, which is not that
        of a new observation. Null where a value is missing.

    Raises:
        BadTable: a column is missing or of the wrong type, or a country has no intercept.
    """
    x = np.column_stack([_column(coefficient.name, table, card) for coefficient in card.coefficients])
    linear = x @ np.array([coefficient.estimate for coefficient in card.coefficients])
    variance = np.einsum("ij,jk,ik->i", x, np.array(card.covariance), x)
    prediction = linear if card.link == "identity" else 0.5 * (1.0 + np.tanh(0.5 * linear))
    error = np.sqrt(np.maximum(variance, 0.0))
    table = table.append_column("prediction", pa.array(prediction, from_pandas=True))
    return table.append_column("standard_error", pa.array(error, from_pandas=True))


def _column(name: str, table: pa.Table, card: ModelCard) -> NDArray[np.float64]:
    """Return one column of the design; NaN where a value is missing."""
    if name == "intercept":
        return np.ones(table.num_rows)
    if name.startswith("intercept["):
        countries = _text("country", table)
        known = {c.name.removeprefix("intercept[").removesuffix("]") for c in card.coefficients}
        if unknown := sorted({str(country) for country in countries} - known):
            raise BadTable(f"country: the model has no intercept for {', '.join(unknown)}")
        return np.array([1.0 if name == f"intercept[{country}]" else 0.0 for country in countries])
    term = Term.parse(name)
    if term.transform == "code":
        codes = _text(term.column, table)
        return np.array([np.nan if code is None else float(code == term.code) for code in codes])
    values = _number(term.column, table)
    if term.transform == "square":
        return values * values
    return np.log(np.where(values > 0, values, np.nan)) if term.transform == "log" else values


def _text(name: str, table: pa.Table) -> list[str | None]:
    column = _present(name, table)
    try:
        return pc.cast(column, pa.string()).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadTable(f"{name}: must be text") from error


def _number(name: str, table: pa.Table) -> NDArray[np.float64]:
    column = _present(name, table)
    try:
        return pc.cast(column, pa.float64()).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadTable(f"{name}: must be numbers") from error


def _present(name: str, table: pa.Table) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise BadTable(f"{name}: the table has no such column")
    return table[name]


def _head(card: ModelCard) -> Iterator[str]:
    yield f"# {card.name}"
    yield ""
    yield card.purpose
    yield ""
    model = "linear regression" if card.family == "gaussian" else "logistic regression"
    yield f"- Model: {model} of `{card.target}` ({card.family}, {card.link} link)"
    yield f"- Trained on {card.records} records of {card.units} units in {', '.join(card.cohort)}"
    yield f"- Job `{card.job}`, signed by {card.author} on {card.created}"
    if card.family == "gaussian":
        yield f"- Residual standard deviation {card.dispersion**0.5:.4g}"
    yield f"- Log-likelihood {card.log_likelihood:.6g}"


def _coefficients(card: ModelCard) -> Iterator[str]:
    yield "## Coefficients"
    yield ""
    yield "| | estimate | std. error | 95 % interval | z | p |"
    yield "|---|---:|---:|---:|---:|---:|"
    for c in card.coefficients:
        p = "< 0.0001" if c.p < 0.0001 else f"{c.p:.4f}"
        interval = f"{c.low:.4g} to {c.high:.4g}"
        yield f"| {c.name} | {c.estimate:.6g} | {c.standard_error:.4g} | {interval} | {c.z:.2f} | {p} |"


def _countries(card: ModelCard) -> Iterator[str]:
    metrics = sorted({name.partition(".")[0] for p in card.participants for name in p.metrics})
    models = [f"{metric} {model}" for metric in metrics for model in ("federated", "local", "mean")]
    yield "## Countries"
    yield ""
    yield "Counts are rounded to base 5. `local` is a model that the country fitted alone on its own training units,"
    yield "`mean` its training mean; all are measured on the same held-out units."
    yield ""
    yield "| | " + " | ".join(["training units", "records", "held-out units", *models, "kB", ""]) + " |"
    yield "|---" + "|---:" * (len(models) + 4) + "|---|"
    for p in card.participants:
        yield "| " + " | ".join([p.member, *_country(p, models)]) + " |"


def _country(p: Participant, models: list[str]) -> Iterator[str]:
    for count in ("units.train", "records.train", "units.holdout"):
        yield str(p.counts.get(count, "-"))
    for model in models:
        value = p.metrics.get(model.replace(" ", "."))
        yield "-" if value is None else f"{value:g}"
    yield f"{(p.sent_bytes + p.received_bytes) / 1000:.1f}"
    yield (p.out or p.evaluation_refused).replace("|", "/")


def _course(card: ModelCard) -> Iterator[str]:
    settled = "converged" if card.converged else "did NOT converge"
    yield "## How it came about"
    yield ""
    yield f"{len(card.steps)} Newton steps, {settled} (tolerance {card.tolerance:g}), {card.seconds:.1f} s,"
    yield f"{card.bytes_moved / 1000:.1f} kB between the coordinator and the countries. Every answer is in a ledger:"
    yield ""
    for receipt in card.receipts:
        yield f"- {receipt['member']}, round {receipt['round']}, {receipt['kind']}: `{receipt['receipt']}`"


def _caveats(card: ModelCard) -> Iterator[str]:
    yield "## What to keep in mind"
    yield ""
    for caveat in card.caveats:
        yield f"- {caveat}"

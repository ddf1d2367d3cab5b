"""What nobody in a federation could compute: the same models on all rows in one place.

The demonstration holds every country's file, so it can check what the federation found without sharing any row, and
can repeat the comparison of farms over many splits. None of this uses Bandung's code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """Coefficients and standard errors by name."""

    coefficients: dict[str, float]
    standard_errors: dict[str, float]


@dataclass(frozen=True)
class Gain:
    """Root mean squared errors on held-out farms, over random splits."""

    farms: int
    alone: Vector
    together: Vector

    @property
    def mean_percent(self) -> float:
        """By how much the mean error falls."""
        return float(100 * (1 - self.together.mean() / self.alone.mean()))

    @property
    def won_percent(self) -> float:
        """Share of the splits in which the common model did better."""
        return float(100 * np.mean(self.together < self.alone))


def women(data: Path) -> pd.DataFrame:
    """Married women of Indonesia and Bangladesh and all women of Botswana, in common variables."""
    idn = pd.read_csv(data / "family_planning/idn.csv")
    bgd = pd.read_csv(data / "family_planning/bgd.csv", dtype={"livch": str})
    bwa = pd.read_csv(data / "family_planning/bwa.csv")
    parts = {
        "IDN": (idn["wife_age"], idn["children"].clip(upper=3), (idn["contraceptive_method"] != 1).astype(float)),
        "BGD": ((bgd["age"] + 29.56).round(), bgd["livch"].str.rstrip("+").astype(int), (bgd["use"] == "Y") * 1.0),
        "BWA": (bwa["age"], bwa["children"].clip(upper=3), bwa["usemeth"]),
    }
    frames = [
        pd.DataFrame({"country": country, "age": age.astype(int), "children": children, "uses": uses})
        for country, (age, children, uses) in parts.items()
    ]
    return pd.concat(frames, ignore_index=True)


def logit_of_use(data: Path) -> Fit:
    """Use of contraception by age and living children, one intercept for each country."""
    rows = women(data).dropna()
    decades = (rows["age"] - 30) / 10
    columns = {f"intercept[{country}]": (rows["country"] == country) * 1.0 for country in ("BGD", "BWA", "IDN")}
    columns |= {"age_decades": decades, "square(age_decades)": decades**2}
    columns |= {f"children={n}{'+' if n == 3 else ''}": (rows["children"] == n) * 1.0 for n in (1, 2, 3)}
    x = np.column_stack(list(columns.values()))
    y = rows["uses"].to_numpy()
    b = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ b))
        information = (x * (p * (1 - p))[:, None]).T @ x
        b = b + np.linalg.solve(information, x.T @ (y - p))
    return _fit(list(columns), b, np.linalg.inv(information))


def farms(data: Path) -> pd.DataFrame:
    """Rice farms of both countries in common units: kilograms, hectares, days of labour, kilograms of nutrients."""
    idn = pd.read_csv(data / "rice/idn.csv")
    phl = pd.read_csv(data / "rice/phl.csv")
    parts = {
        "IDN": (idn["id"], idn["goutput"], idn["size"], idn["totlabor"] / 8, (idn["urea"] + idn["phosphate"]) * 0.46),
        "PHL": (phl["FMERCODE"], phl["PROD"] * 1000, phl["AREA"], phl["LABOR"], phl["NPK"]),
    }
    frames = []
    for country, (farm, *numbers) in parts.items():
        logs = {name: np.log(column) for name, column in zip(("y", "area", "labour", "npk"), numbers, strict=True)}
        frames.append(pd.DataFrame({"country": country, "farm": farm, **logs}))
    return pd.concat(frames, ignore_index=True)


def cobb_douglas(rows: pd.DataFrame) -> Fit:
    """Log output by the logs of area, labour and fertiliser, one intercept for each country."""
    names = ["intercept[IDN]", "intercept[PHL]", "log(area_ha)", "log(labour_days)", "log(fertiliser_kg)"]
    x = _design(rows)
    b, *_ = np.linalg.lstsq(x, rows["y"].to_numpy(), rcond=None)
    residual = rows["y"].to_numpy() - x @ b
    spread = residual @ residual / (len(x) - len(b))
    return _fit(names, b, spread * np.linalg.inv(x.T @ x))


def gain(rows: pd.DataFrame, farms_trained: int | None, *, splits: int = 200, holdout: float = 0.5) -> Gain:
    """Compare, on held-out Philippine farms, a model of Philippine farms alone with one of both countries.

    Args:
        farms_trained: how many Philippine farms are trained on; None for all that are not held out.
    """
    chance = np.random.default_rng(1990)
    errors = np.array([_one_split(rows, farms_trained, holdout, chance) for _ in range(splits)])
    phl = rows[rows["country"] == "PHL"]["farm"].nunique()
    return Gain(farms_trained or phl - int(phl * holdout), errors[:, 0], errors[:, 1])


def _one_split(
    rows: pd.DataFrame, farms_trained: int | None, holdout: float, chance: np.random.Generator
) -> tuple[float, float]:
    held_out, trained = [], []
    for country, part in rows.groupby("country"):
        order = chance.permutation(part["farm"].unique())
        cut = int(len(order) * holdout)
        last = cut + farms_trained if farms_trained and country == "PHL" else None
        held_out.append(part[part["farm"].isin(order[:cut])])
        trained.append(part[part["farm"].isin(order[cut:last])])
    test, own, both = held_out[1], trained[1], pd.concat(trained)
    # Alone: the intercept of the other country has no rows, and least norm sets it to zero.
    models = [np.linalg.lstsq(_design(part), part["y"].to_numpy(), rcond=None)[0] for part in (own, both)]
    alone, together = (float(np.sqrt(np.mean((test["y"].to_numpy() - _design(test) @ model) ** 2))) for model in models)
    return alone, together


def _design(rows: pd.DataFrame) -> Vector:
    intercepts = [(rows["country"] == country).to_numpy(dtype=float) for country in ("IDN", "PHL")]
    return np.column_stack([*intercepts, rows[["area", "labour", "npk"]].to_numpy()])


def _fit(names: list[str], coefficients: Vector, covariance: Vector) -> Fit:
    errors = np.sqrt(np.diag(covariance))
    return Fit(
        dict(zip(names, map(float, coefficients), strict=True)), dict(zip(names, map(float, errors), strict=True))
    )

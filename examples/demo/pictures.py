"""Two pictures: use of contraception in three countries, and what the models found."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pooled import Gain

from bandung.federation.domain.model_card import ModelCard
from bandung.federation.statistics.standardise import Rates

NORMAL_975 = 1.96
NAMES = {"IDN": "Indonesia 1987", "BGD": "Bangladesh 1988-89", "BWA": "Botswana 1988 (ever use)"}
COLOURS = {"IDN": "#b5651d", "BGD": "#1b7837", "BWA": "#2166ac"}


def draw(out: Path, rates: tuple[Rates, ...], use: ModelCard, gains: dict[str, Gain]) -> tuple[Path, Path]:
    """Draw both pictures as PNG and return their paths."""
    return _rates(out / "rates.png", rates), _models(out / "models.png", use, gains)


def _rates(path: Path, rates: tuple[Rates, ...]) -> Path:
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    by_age, overall = figure.subplots(1, 2, width_ratios=[2, 1])
    for rate in rates:
        errors = [NORMAL_975 * (s.noise_variance + s.sampling_variance) ** 0.5 for s in rate.strata]
        by_age.errorbar(
            [s.code for s in rate.strata],
            [s.rate for s in rate.strata],
            errors,
            marker="o",
            capsize=3,
            color=COLOURS[rate.member],
            label=NAMES[rate.member],
        )
    by_age.set(title="Use of contraception by age, from released counts (95 % intervals)", ylim=(0, 1), xlabel="age")
    by_age.legend(frameon=False)
    _overall(overall, rates)
    figure.savefig(path, dpi=150)
    return path


def _overall(axes: Axes, rates: tuple[Rates, ...]) -> None:
    for place, rate in enumerate(rates):
        for which, shift, marker in (("crude", 0.12, "o"), ("standardised", -0.12, "s")):
            value = getattr(rate, which)
            if value is not None:
                axes.errorbar(
                    value.value,
                    -place + shift,
                    xerr=NORMAL_975 * value.se,
                    marker=marker,
                    capsize=3,
                    color=COLOURS[rate.member],
                    mfc=COLOURS[rate.member] if which == "crude" else "white",
                )
    axes.set_yticks([-place for place in range(len(rates))], [rate.member for rate in rates])
    axes.set(title="● crude   □ age-standardised", xlim=(0.2, 0.8), xlabel="share of women")


def _models(path: Path, use: ModelCard, gains: dict[str, Gain]) -> Path:
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    odds, farms = figure.subplots(1, 2)
    shown = [c for c in use.coefficients if not c.name.startswith("intercept")][::-1]
    odds.errorbar(
        [c.estimate for c in shown],
        range(len(shown)),
        xerr=[NORMAL_975 * c.standard_error for c in shown],
        fmt="o",
        capsize=3,
        color="#444444",
    )
    odds.axvline(0, color="#bbbbbb", zorder=0)
    odds.set_yticks(range(len(shown)), [c.name for c in shown])
    odds.set(title="Log odds of use: one model of three countries")
    errors = [series for gain in gains.values() for series in (gain.alone, gain.together)]
    labels = [f"{name}\n{how}" for name in gains for how in ("alone", "together")]
    farms.boxplot(errors, tick_labels=labels, showfliers=False)
    farms.set(title="Rice, Philippines: held-out error, 200 splits", ylabel="RMSE of log output")
    figure.savefig(path, dpi=150)
    return path

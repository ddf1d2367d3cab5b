"""The noise of the United Kingdom's statistical office: a real gateway's counts beside those of its own package."""

from __future__ import annotations

import csv
import importlib.metadata
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from cell_key_perturbation.create_perturbed_table import create_perturbed_table

from bandung.gateway.app import read_declaration
from bandung.gateway.disclosure.keys import record_keys
from bandung.gateway.domain.errors import Refusal
from bandung.gateway.domain.ons import parse_ptable
from tests.support.clients import an_adbc_connection
from tests.support.gateway import Gateway, a_gateway
from tests.support.publishing import a_declaration

SIZES = [3, 5, 9, 10, 11, 14, 37, 250, 251, 500, 501, 749, 750, 751, 752, 999, 1000, 1001, 1250, 1751]
HEADER = ["pcv", "ckey", "pvalue"]


def shipped() -> pd.DataFrame:
    """The perturbation table that comes with the package."""
    files = importlib.metadata.files("cell-key-perturbation") or []
    (found,) = [file for file in files if file.name == "ptable_10_5_rule.csv"]
    return pd.read_csv(Path(str(found.locate())))


def random_ptable(seed: int) -> pd.DataFrame:
    """Any change that leaves no count below zero."""
    generator = np.random.default_rng(seed)
    rows = [
        (count, key, max(-count, int(change)))
        for count in range(1, 751)
        for key, change in enumerate(generator.integers(-9, 10, size=256))
    ]
    return pd.DataFrame(rows, columns=HEADER)


PTABLES = {"shipped": shipped, "random": lambda: random_ptable(3), "random-too": lambda: random_ptable(4)}


def a_document(ptable: str, codes: int, threshold_spread: int = 0, **unit: Any) -> dict[str, Any]:
    """Records in cells of two dimensions; the cell alone says how many there are."""
    return a_declaration(
        unit={"name": "farm", **unit},
        columns={
            "cell": {"role": "dimension", "codes": [{"code": str(code)} for code in range(codes)]},
            "half": {"role": "dimension", "codes": [{"code": "0"}, {"code": "1"}]},
            "one": {"role": "measure", "range": [0, 1000]},
        },
        policy={
            "kind": "table-builder",
            "min_units": 3,
            "threshold_spread": threshold_spread,
            "mean_cell_min": 1,
            "noise": "ons",
            "ptable": ptable,
        },
    )


def microdata(sizes: list[int], seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    cells = np.repeat(np.arange(len(sizes)), sizes)
    return pd.DataFrame(
        {
            "farm": [f"F{row:07d}" for row in range(len(cells))],
            "cell": cells,
            "half": generator.integers(0, 2, size=len(cells)),
            "one": 1,
            "key": generator.integers(0, 256, size=len(cells)),
        }
    )


def asked(gateway: Gateway, sql: str) -> pa.Table:
    files = gateway.identity("analyst/ani")
    with an_adbc_connection(gateway.address, gateway.idn.ca, files) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetch_arrow_table()


def theirs(data: pd.DataFrame, ptable: pd.DataFrame, *variables: str) -> dict[tuple[str, ...], int]:
    """The package's counts."""
    text = data.assign(**{name: data[name].astype(str) for name in ("cell", "half")}, other="x")
    table = create_perturbed_table(
        data=text, ptable=ptable, geog=[], tab_vars=[*variables, "other"], record_key="key", threshold=0
    )
    keys = zip(*(table[name] for name in variables), strict=True)
    return dict(zip(keys, table["count"].astype(int), strict=True))


def ours(gateway: Gateway, *variables: str) -> Mapping[tuple[str, ...], int | None]:
    """The gateway's counts; None where it shows none."""
    names = ", ".join(variables)
    table = asked(gateway, f"SELECT {names}, COUNT(*) AS n FROM farms GROUP BY {names}")
    keys = zip(*(table[name].to_pylist() for name in variables), strict=True)
    return dict(zip(keys, table["n"].to_pylist(), strict=True))


def assert_identical(gateway: Gateway, data: pd.DataFrame, ptable: pd.DataFrame) -> None:
    for variables in (("cell",), ("half",), ("cell", "half")):
        expected, found = theirs(data, ptable, *variables), ours(gateway, *variables)
        sizes = data.astype({"cell": str, "half": str}).groupby(list(variables)).size()
        enough = {key if isinstance(key, tuple) else (key,) for key, size in sizes.items() if size >= 3}
        assert {key: count for key, count in found.items() if count is not None} == {
            key: expected[key] for key in enough
        }


@pytest.mark.parametrize("name", PTABLES)
def test_counts_are_the_packages_cell_for_cell_with_the_sources_own_keys(tmp_path: Path, name: str):
    data, ptable = microdata(SIZES, seed=11), PTABLES[name]()
    with a_gateway(tmp_path, pa.Table.from_pandas(data, preserve_index=False)) as gateway:
        gateway.publish_document(a_document(ptable.to_csv(index=False), len(SIZES), column="farm", key="key"))
        gateway.agree()
        assert_identical(gateway, data, ptable)
        assert theirs(data, ptable, "cell") != {(str(cell),): size for cell, size in enumerate(SIZES)}


def test_counts_are_the_packages_with_the_low_eight_bits_of_the_gateways_keys(tmp_path: Path):
    data, ptable = microdata(SIZES, seed=12), random_ptable(5)
    with a_gateway(tmp_path, pa.Table.from_pandas(data, preserve_index=False)) as gateway:
        gateway.publish_document(a_document(ptable.to_csv(index=False), len(SIZES), column="farm"))
        gateway.agree()
        secret = gateway.publisher.secrets.dataset_key("farms")
        assert_identical(gateway, data.assign(key=record_keys(secret, data["farm"]).to_numpy() & 255), ptable)


def test_a_spread_of_thresholds_withholds_counts_and_changes_none(tmp_path: Path):
    data, ptable = microdata([5] * 100, seed=16), random_ptable(6)
    with a_gateway(tmp_path, pa.Table.from_pandas(data, preserve_index=False)) as gateway:
        gateway.publish_document(a_document(ptable.to_csv(index=False), 100, 4, column="farm", key="key"))
        gateway.agree()
        expected, found = theirs(data, ptable, "cell"), ours(gateway, "cell")
    shown = {key: count for key, count in found.items() if count is not None}
    assert 40 < len(shown) < 80
    assert shown == {key: expected[key] for key in shown}


@pytest.mark.slow
def test_counts_are_the_packages_over_a_million_rows(tmp_path: Path):
    sizes = np.random.default_rng(1).multinomial(1_000_000, np.arange(1, 201) / 20_100).tolist()
    data, ptable = microdata(sizes, seed=13), shipped()
    with a_gateway(tmp_path, pa.Table.from_pandas(data, preserve_index=False)) as gateway:
        gateway.publish_document(a_document(ptable.to_csv(index=False), len(sizes), column="farm", key="key"))
        gateway.agree()
        assert_identical(gateway, data, ptable)


def test_sums_keep_their_own_noise_by_their_contributions(tmp_path: Path):
    data = microdata([40] * 50, seed=14).assign(one=range(2000))
    data["one"] %= 97
    with a_gateway(tmp_path, pa.Table.from_pandas(data, preserve_index=False)) as gateway:
        gateway.publish_document(a_document(shipped().to_csv(index=False), 50, column="farm", key="key"))
        gateway.agree()
        table = asked(gateway, "SELECT cell, SUM(one) AS s FROM farms GROUP BY cell")
    cells = data.groupby("cell")["one"]
    exact, mean = cells.sum(), cells.sum() / cells.agg(np.count_nonzero)
    noise = np.array(table["s"].to_pylist(), dtype=float) - exact.to_numpy()
    assert (np.abs(noise) <= np.maximum(0.5 * cells.max(), 3 * mean) + 0.5).all()
    assert len(set(noise)) > 20


def test_the_epoch_holds_the_table_and_the_record_names_it(tmp_path: Path):
    data, ptable = microdata([40], seed=15), shipped()
    with a_gateway(tmp_path, pa.Table.from_pandas(data, preserve_index=False)) as gateway:
        gateway.publish_document(a_document(ptable.to_csv(index=False), 1, column="farm", key="key"))
        epoch = gateway.catalogue.current("farms")
        expected = parse_ptable(ptable.to_csv(index=False))
        assert epoch is not None
        assert epoch.dataset.policy.ons == expected  # type: ignore[union-attr]
        assert gateway.entries()[-1].event.body["policy"]["ons"] == expected.digest


def test_the_table_is_read_beside_the_declaration(tmp_path: Path):
    (tmp_path / "ptable.csv").write_text("pcv,ckey,pvalue\n10,3,-2\n")
    text = """
        dataset = {name = "a", title = "A", description = "A.", licence = "CC0-1.0", country = "IDN", period = "2026"}
        source = {connector = "files", relation = "a.csv"}
        unit = {name = "a", rows = true}
        policy = {kind = "table-builder", noise = "ons", ptable = "ptable.csv"}
        columns.b = {role = "dimension", codes = [{code = "1"}]}
    """
    (tmp_path / "a.toml").write_text("\n".join(line.strip() for line in text.splitlines()))
    policy = read_declaration(tmp_path / "a.toml").policy
    assert policy.ons == parse_ptable("pcv,ckey,pvalue\n10,3,-2\n")  # type: ignore[union-attr]
    (tmp_path / "ptable.csv").unlink()
    with pytest.raises(Refusal, match="B501") as caught:
        read_declaration(tmp_path / "a.toml")
    assert "ptable.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([(1, 0, -2)], "negative"),
        ([(0, 0, 1)], "empty cell"),
        ([(1, 256, 0)], "ckey 0 to 255"),
        ([(751, 0, 1)], "pcv is 0 to 750"),
        ([(5, 1, 1), (5, 1, 2)], "twice"),
        ([(5, 1, "x")], "whole numbers"),
        ([], "no change"),
    ],
)
def test_a_table_that_could_mislead_is_refused_with_its_line(rows: list[tuple[object, ...]], why: str):
    text = io.StringIO()
    csv.writer(text).writerows([HEADER, *rows])
    with pytest.raises(ValueError, match=why):
        parse_ptable(text.getvalue())

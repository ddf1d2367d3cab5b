"""One-bit oracles: statements that say yes or no about one person, by anything that SQL lets depend on a row.

A result need not show a value to give it away: it is enough that a row is there, that an order, an error, a length or a
time differs (Denning and Schloerer, Inference controls for statistical databases, IEEE Computer 16(7), 1983; Dwork,
Smith, Steinke, Ullman: Exposed!, 2017, section 2). Each statement below asks whether a village has its elder. The
control is the same statement to an ordinary engine over the same rows, where each of them answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite

import pytest

from tests.support import town
from tests.support.attacking import (
    CONTROL_MIN,
    ORACLE_MAX,
    POLICIES,
    Analysts,
    Ground,
    Heard,
    advantage,
    an_ordinary_engine,
)

TRIALS = {"table-builder": 40, "differential-privacy": 80}
"""Villages that are asked about; more where noise is drawn anew in every run."""
REFUSED_ENOUGH = 8
"""So many refusals in planning, which sees no data, are taken for all."""
LASTING = {"differential-privacy": {"rho_per_dataset": 100, "rho_per_agreement": 100, "rho_per_analyst": 100}}
"""Caps that last for all the statements; what each spends is the policy's own."""
CONTROL_TRIALS = 12


def some(heard: Heard) -> bool:
    """Yes by there being a row at all."""
    return bool(heard.rows)


def value(heard: Heard) -> float:
    """The first number of the first row; 0 if there is none."""
    cells = heard.rows[0].values() if heard.rows else ()
    return next((float(cell) for cell in cells if isinstance(cell, int | float | Decimal)), 0.0)


def positive(heard: Heard) -> bool:
    return value(heard) > 0


def failed(heard: Heard) -> bool:
    return bool(heard.refusal)


def out_of_order(heard: Heard) -> bool:
    """Yes by an error, or by a number that is none."""
    return failed(heard) or not isfinite(value(heard))


def text_has_elder(heard: Heard) -> bool:
    return "80+" in str(heard.rows)


def shown(heard: Heard) -> bool:
    """Yes by a number in the row of the elder."""
    return any("80+" in row.values() and any(isinstance(x, int | float) for x in row.values()) for row in heard.rows)


@dataclass(frozen=True)
class Oracle:
    """A statement about village `{v}` of dataset `{t}`, and how its answer says yes."""

    sql: str
    yes: Callable[[Heard], bool] = positive


E = "village = '{v}' AND age_group = '80+'"
IN_VILLAGE = "FROM {t} WHERE village = '{v}'"
ORACLES = {
    "count": Oracle(f"SELECT COUNT(*) FROM {{t}} WHERE {E}"),
    "sum": Oracle(f"SELECT SUM(income) FROM {{t}} WHERE {E}"),
    "average": Oracle(f"SELECT AVG(income) FROM {{t}} WHERE {E}"),
    "group": Oracle(f"SELECT age_group, COUNT(*) {IN_VILLAGE} GROUP BY age_group", shown),
    "presence of a group": Oracle(f"SELECT age_group, COUNT(*) {IN_VILLAGE} GROUP BY age_group", text_has_elder),
    "having": Oracle(f"SELECT village, COUNT(*) FROM {{t}} WHERE {E} GROUP BY village HAVING COUNT(*) = 1", some),
    "having withheld": Oracle(
        f"SELECT age_group, COUNT(*) {IN_VILLAGE} GROUP BY age_group HAVING COUNT(*) < 5", text_has_elder
    ),
    "having a condition": Oracle(
        f"SELECT COUNT(*) {IN_VILLAGE} HAVING SUM(CASE WHEN age_group = '80+' THEN 1 ELSE 0 END) > 0", some
    ),
    "order": Oracle(
        f"SELECT age_group, COUNT(*) AS n {IN_VILLAGE} GROUP BY age_group ORDER BY n LIMIT 1", text_has_elder
    ),
    "order by a hidden value": Oracle(
        f"SELECT trade, COUNT(*) {IN_VILLAGE} AND trade <> 'smith' GROUP BY trade ORDER BY"
        " MAX(CASE WHEN age_group = '80+' THEN 1 ELSE 0 END) DESC, trade DESC LIMIT 1",
        lambda heard: "farm" in str(heard.rows),
    ),
    "limit by a subquery": Oracle(f"SELECT village FROM {{t}} LIMIT (SELECT COUNT(*) FROM {{t}} WHERE {E})", some),
    "offset": Oracle(f"SELECT age_group, COUNT(*) {IN_VILLAGE} GROUP BY age_group OFFSET 2", some),
    "exists": Oracle(f"SELECT COUNT(*) FROM {{t}} WHERE EXISTS (SELECT 1 FROM {{t}} WHERE {E})"),
    "in a subquery": Oracle(f"SELECT COUNT(*) FROM {{t}} WHERE village IN (SELECT village FROM {{t}} WHERE {E})"),
    "scalar subquery": Oracle(f"SELECT (SELECT COUNT(*) FROM {{t}} WHERE {E}) AS n, COUNT(*) FROM {{t}}"),
    "case": Oracle(f"SELECT SUM(CASE WHEN {E} THEN 1 ELSE 0 END) FROM {{t}}"),
    "filter clause": Oracle(f"SELECT COUNT(*) FILTER (WHERE {E}) FROM {{t}}"),
    "boolean aggregate": Oracle(f"SELECT BOOL_OR({E}) AS b FROM {{t}}", lambda heard: "True" in str(heard.rows)),
    "cast error": Oracle(f"SELECT SUM(CAST(CASE WHEN {E} THEN 'x' ELSE '0' END AS INTEGER)) FROM {{t}}", failed),
    "overflow": Oracle(f"SELECT SUM(CASE WHEN {E} THEN 127 ELSE 0 END::TINYINT + 1::TINYINT) FROM {{t}}", failed),
    "division by zero": Oracle(
        f"SELECT 1 / SUM(CASE WHEN {E} THEN 1 ELSE 0 END) FROM {{t}}", lambda heard: value(heard) == 1
    ),
    "logarithm of zero": Oracle(f"SELECT SUM(LN(CASE WHEN {E} THEN 0 ELSE 1 END)) FROM {{t}}", out_of_order),
    "root of a negative number": Oracle(f"SELECT SUM(SQRT(CASE WHEN {E} THEN -1 ELSE 1 END)) FROM {{t}}", out_of_order),
    "impossible date": Oracle(f"SELECT MAX(MAKE_DATE(2026, 1, CASE WHEN {E} THEN 32 ELSE 1 END)) FROM {{t}}", failed),
    "own error": Oracle(f"SELECT SUM(CASE WHEN {E} THEN ERROR('yes') ELSE 0 END) FROM {{t}}", failed),
    "regular expression": Oracle(f"SELECT COUNT(*) {IN_VILLAGE} AND REGEXP_MATCHES(age_group, '^80')"),
    "like": Oracle(f"SELECT COUNT(*) {IN_VILLAGE} AND age_group LIKE '80%'"),
    "in a list": Oracle(f"SELECT COUNT(*) {IN_VILLAGE} AND age_group IN ('80+')"),
    "in a list of one that never is": Oracle(
        f"SELECT COUNT(*) {IN_VILLAGE} AND trade IN ('farm', 'fish') AND age_group IN ('80+')"
    ),
    "between": Oracle(f"SELECT COUNT(*) {IN_VILLAGE} AND age_group BETWEEN '80' AND '81'"),
    "greater": Oracle(f"SELECT COUNT(*) {IN_VILLAGE} AND age_group > '79'"),
    "not": Oracle(f"SELECT COUNT(*) {IN_VILLAGE} AND NOT age_group IN ('0-39', '40-79')"),
    "is null": Oracle(f"SELECT COUNT(*) {IN_VILLAGE} AND NULLIF(age_group, '80+') IS NULL"),
    "count of a column": Oracle(f"SELECT COUNT(*) - COUNT(NULLIF(age_group, '80+')) {IN_VILLAGE}"),
    "not a number": Oracle(
        f"SELECT SUM(CASE WHEN {E} THEN 'NaN'::DOUBLE ELSE 0 END) FROM {{t}}", lambda heard: "nan" in str(heard.rows)
    ),
    "infinity": Oracle(f"SELECT AVG(CASE WHEN {E} THEN 'inf'::DOUBLE ELSE 0 END) FROM {{t}}", out_of_order),
    "large number": Oracle(
        f"SELECT SUM(CASE WHEN {E} THEN 1e12 ELSE 0 END + income) > 1e11 AS b FROM {{t}}",
        lambda heard: "True" in str(heard.rows),
    ),
    "minimum": Oracle(f"SELECT MIN(income) FROM {{t}} WHERE {E}"),
    "maximum": Oracle(f"SELECT MAX(age_group) AS a {IN_VILLAGE}", text_has_elder),
    "argument of a maximum": Oracle(f"SELECT ARG_MAX(age_group, age_group) AS a {IN_VILLAGE}", text_has_elder),
    "any value": Oracle(f"SELECT ANY_VALUE(age_group) AS a FROM {{t}} WHERE {E}", text_has_elder),
    "list": Oracle(f"SELECT STRING_AGG(age_group, ',') AS a {IN_VILLAGE}", text_has_elder),
    "median": Oracle(f"SELECT MEDIAN(income) FROM {{t}} WHERE {E}"),
    "quantile": Oracle(f"SELECT QUANTILE(income, 0.5) FROM {{t}} WHERE {E}"),
    "variance": Oracle(f"SELECT COUNT(*) FROM {{t}} WHERE {E} HAVING VAR_POP(income) = 0", some),
    "bits": Oracle(f"SELECT BIT_OR(CASE WHEN {E} THEN 1 ELSE 0 END) FROM {{t}}"),
    "distinct": Oracle(f"SELECT DISTINCT age_group {IN_VILLAGE}", text_has_elder),
    "count distinct": Oracle(f"SELECT COUNT(DISTINCT age_group) - 2 {IN_VILLAGE}"),
    "count distinct units": Oracle(f"SELECT COUNT(DISTINCT person) FROM {{t}} WHERE {E}"),
    "row inflation by a join": Oracle(
        "SELECT COUNT(*) FROM {t} AS a JOIN {t} AS b ON b.sex = 'F' WHERE a.village = '{v}' AND a.age_group = '80+'"
    ),
    "row inflation by a cross join": Oracle(f"SELECT COUNT(*) FROM {{t}}, RANGE(1000) WHERE {E}"),
    "outer join": Oracle(
        f"SELECT COUNT(b.village) FROM (SELECT 1) AS a LEFT JOIN (SELECT village FROM {{t}} WHERE {E}) AS b ON TRUE"
    ),
    "lateral join": Oracle(f"SELECT COUNT(*) FROM {{t}} AS a, LATERAL (SELECT 1 WHERE a.{E}) AS b"),
    "union": Oracle(f"SELECT COUNT(*) FROM (SELECT * FROM {{t}} WHERE {E} UNION ALL SELECT * FROM {{t}} WHERE {E})"),
    "except": Oracle(
        f"SELECT age_group {IN_VILLAGE} EXCEPT SELECT age_group FROM {{t}} WHERE age_group <> '80+'", some
    ),
    "intersect": Oracle(f"SELECT age_group {IN_VILLAGE} INTERSECT SELECT '80+'", some),
    "window": Oracle(f"SELECT COUNT(*) OVER () AS n FROM {{t}} WHERE {E}"),
    "row number": Oracle(
        f"SELECT age_group, ROW_NUMBER() OVER (ORDER BY age_group DESC) AS r {IN_VILLAGE} QUALIFY r = 1", text_has_elder
    ),
    "common table expression": Oracle(f"WITH e AS (SELECT * FROM {{t}} WHERE {E}) SELECT COUNT(*) FROM e"),
    "recursion": Oracle(
        f"WITH RECURSIVE r(n) AS (SELECT COUNT(*) FROM {{t}} WHERE {E} UNION"
        " SELECT n + 1 FROM r WHERE n BETWEEN 1 AND 9) SELECT MAX(n) FROM r"
    ),
    "rollup": Oracle(f"SELECT age_group, COUNT(*) {IN_VILLAGE} GROUP BY ROLLUP (age_group)", shown),
    "cube": Oracle(f"SELECT age_group, sex, COUNT(*) {IN_VILLAGE} GROUP BY CUBE (age_group, sex)", shown),
    "grouping sets": Oracle(f"SELECT age_group, COUNT(*) {IN_VILLAGE} GROUP BY GROUPING SETS ((age_group), ())", shown),
    "sample": Oracle(f"SELECT COUNT(*) FROM (SELECT * FROM {{t}} WHERE {E}) USING SAMPLE 100 PERCENT"),
    "rows": Oracle(f"SELECT * FROM {{t}} WHERE {E}", some),
    "a comment in the way": Oracle(f"SELECT COUNT(*) FROM {{t}} WHERE /* 'x' */ {E} -- AND sex = 'F'"),
    "time": Oracle(
        f"SELECT SUM(HASH(r.range) % 7) FROM (SELECT 1 FROM {{t}} WHERE {E}) AS e, RANGE(60000000) AS r",
        lambda heard: heard.seconds > 0.05,
    ),
}


def said(ask: Callable[[str], Heard], oracle: Oracle, table: str, trials: int) -> list[bool]:
    heard: list[Heard] = []
    for village in town.NAMES[:trials]:
        heard.append(ask(oracle.sql.format(t=table, v=village)))
        if len(heard) == REFUSED_ENOUGH and all(answer.planned and answer.code == heard[0].code for answer in heard):
            heard *= trials // REFUSED_ENOUGH
            break
    assert not any(answer.code == "B303" for answer in heard), "the budget must outlast the attack"
    return [oracle.yes(answer) for answer in heard]


def test_there_are_at_least_forty() -> None:
    assert len({oracle.sql for oracle in ORACLES.values()}) >= 40


@pytest.mark.parametrize("name", ORACLES)
def test_no_statement_says_whether_a_person_is_there(
    ground: Ground, analysts: Analysts, policy: str, name: str
) -> None:
    table = ground.publish(
        f"oracles {policy}", town.rows, town.COLUMNS, {**POLICIES[policy], **LASTING.get(policy, {})}
    )
    trials = TRIALS[policy]
    found = advantage(said(analysts.ask, ORACLES[name], table, trials), town.ELDERS[:trials])
    assert found <= ORACLE_MAX


@pytest.fixture(scope="module")
def engine() -> Iterator[Callable[[str], Heard]]:
    with an_ordinary_engine("town", town.rows()) as ask:
        yield ask


@pytest.mark.parametrize("name", ORACLES)
def test_control_an_ordinary_engine_says_it(engine: Callable[[str], Heard], name: str) -> None:
    heard = said(engine, ORACLES[name], "town", CONTROL_TRIALS)
    assert advantage(heard, town.ELDERS[:CONTROL_TRIALS]) >= CONTROL_MIN

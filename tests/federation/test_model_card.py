import numpy as np
import pyarrow as pa
import pytest

from bandung.federation.domain.model_card import ModelCard
from bandung.federation.training.driver import drive
from bandung.federation.training.model_card import BadTable, predict, render
from tests.support.coordination import MemoryExchange, MemoryJournal, no_wait
from tests.support.training import a_job, an_adoption_job, countries, farms, pooled, signed

TABLES = {"BGD": farms(1, missing=20), "IDN": farms(2, shift=0.3), "PHL": farms(3, units=60)}


def trained(job):
    journal = MemoryJournal()
    drive(signed(job), MemoryExchange(countries(TABLES)), journal, wait=no_wait)
    return journal.model


def test_a_card_survives_json():
    card = trained(a_job(holdout=0.3))
    assert ModelCard.from_json(card.to_json()) == card


@pytest.mark.parametrize("document", [{}, {"format": "bandung-model-card/v1"}, {"format": "other"}])
def test_what_is_no_card_is_not_read_as_one(document):
    with pytest.raises(ValueError, match=r"model card|validation"):
        ModelCard.from_json(document)


def test_the_text_holds_what_a_statistician_looks_for():
    text = render(trained(a_job(holdout=0.3)))
    for wanted in ("std. error", "95 % interval", "Residual standard deviation", "BGD", "rmse local", "Newton steps"):
        assert wanted in text
    assert "log(area)" in text
    assert "lack a value" in text
    assert "the coordinator together with all countries but one" in text


def test_country_intercepts_come_with_their_caveat():
    assert any("One intercept per country" in c for c in trained(a_job(country_intercepts=True)).caveats)


def test_intervals_and_p_values_follow_from_the_standard_errors():
    for c in trained(an_adoption_job()).coefficients:
        assert c.z == pytest.approx(c.estimate / c.standard_error)
        assert (c.high - c.low) / 2 == pytest.approx(1.959964 * c.standard_error, rel=1e-6)
        assert (c.p < 0.05) == (c.low > 0 or c.high < 0)


def people(**changes):
    default = {"area": [1.5, 20.0], "price": [500, 80_000], "irrigated": ["yes", "no"], "country": ["IDN", "PHL"]}
    return pa.table({**default, **changes})


@pytest.mark.parametrize("job", [a_job(), an_adoption_job(country_intercepts=True)], ids=["linear", "logistic"])
def test_predictions_are_those_of_the_pooled_fit(job):
    table = people()
    beta = pooled(job, TABLES)[0]
    own = [[0, 1, 0], [0, 0, 1]] if job.country_intercepts else [[1], [1]]
    x = np.column_stack([own, np.log([1.5, 20.0]), [500, 80_000], [1, 0]])
    expected = x @ beta if job.name == "harvest" else 1 / (1 + np.exp(-x @ beta))
    answer = predict(trained(job), table)
    np.testing.assert_allclose(answer["prediction"].to_numpy(), expected, rtol=1e-9)
    assert all(0 < error < 1 for error in answer["standard_error"].to_pylist())
    assert answer.column_names[:4] == table.column_names


def test_a_missing_value_gives_a_missing_prediction():
    answer = predict(trained(a_job()), people(price=pa.array([None, 500], pa.int64()), area=[1.0, -1.0]))
    assert answer["prediction"].to_pylist() == [None, None]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (people().drop_columns(["area"]), "area: the table has no such column"),
        (people(price=["dear", "cheap"]), "price: must be numbers"),
        (people(country=["IDN", "USA"]), "no intercept for USA"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_its_column(table, words):
    with pytest.raises(BadTable, match=words):
        predict(trained(a_job(country_intercepts=True)), table)

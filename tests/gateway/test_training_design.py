import numpy as np
import pyarrow as pa
import pytest

from bandung.gateway.domain.errors import Refusal
from bandung.gateway.domain.job import Family, Term
from bandung.gateway.training.design import check_terms, columns_of, design
from bandung.gateway.training.split import split
from tests.support.training import a_farm_dataset, a_job, an_adoption_job, farms

KEY = b"k" * 32


def rows(**columns):
    default = {
        "unit": pa.array([1, 1, 2, 3]),
        "area": pa.array([150, 0, 400, None], pa.int64()),
        "price": pa.array([10, 20, 30, 40]),
        "harvest": pa.array([1000, 2000, 3000, 4000]),
        "irrigated": pa.array(["yes", "no", "unknown", "yes"]),
        "adopts": pa.array(["yes", "no", "yes", "no"]),
    }
    return pa.table({**default, **columns})


def terms(*names):
    return tuple(map(Term.parse, names))


def test_fixed_point_measures_come_in_their_unit_and_codes_as_indicators():
    job = a_job(features=terms("area", "square(price)", "irrigated=no", "irrigated=unknown"))
    built = design(job, "IDN", a_farm_dataset(), rows())
    assert built.x.tolist() == [[1, 1.5, 100, 0, 0], [1, 0, 400, 1, 0], [1, 4, 900, 0, 1]]
    assert built.y.tolist() == [1.0, 2.0, 3.0]
    assert built.excluded == 1


def test_records_without_a_value_or_a_logarithm_are_left_out_and_counted():
    built = design(a_job(features=terms("log(area)")), "IDN", a_farm_dataset(), rows())
    assert built.x[:, 1] == pytest.approx(np.log([1.5, 4.0]))
    assert built.excluded == 2
    assert built.unit_count == 2


def test_the_code_for_missing_is_missing_unless_the_job_models_it():
    unmodelled = design(a_job(features=terms("price", "irrigated=yes")), "IDN", a_farm_dataset(), rows())
    assert unmodelled.excluded == 1
    modelled = design(
        a_job(features=terms("price", "irrigated=yes", "irrigated=unknown")), "IDN", a_farm_dataset(), rows()
    )
    assert modelled.excluded == 0


def test_each_country_has_a_one_in_its_own_intercept_only():
    built = design(a_job(country_intercepts=True, features=terms("price")), "IDN", a_farm_dataset(), rows())
    assert built.x[0].tolist() == [0, 1, 0, 10]


def test_a_job_touches_target_and_features():
    assert columns_of(a_job()) == ("area", "harvest", "irrigated", "price")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"features": terms("wealth")}, "B204"),
        ({"features": terms("irrigated")}, "B205"),
        ({"features": terms("area=big")}, "B205"),
        ({"features": terms("irrigated=maybe")}, "B206"),
        ({"family": Family.BINOMIAL, "target": Term("harvest", "identity")}, "B306"),
    ],
)
def test_terms_that_the_declaration_cannot_supply_are_refused(changes, code):
    with pytest.raises(Refusal, match=code):
        check_terms(a_job(**changes), a_farm_dataset())


def a_split(job, table, member="IDN", digest="d" * 64, key=KEY):
    return split(design(job, member, a_farm_dataset(), table), job, digest, member, key)


def test_all_records_of_a_unit_go_the_same_way():
    table = farms(1, units=300)
    parts = a_split(an_adoption_job(holdout=0.3), table)
    assert not set(parts.train.units) & set(parts.holdout.units)
    assert len(parts.train.y) + len(parts.holdout.y) == 600
    assert 60 < parts.holdout.unit_count < 120


def test_the_split_depends_on_the_units_the_job_and_the_secret_key_alone():
    table, job = farms(1), an_adoption_job(holdout=0.5)
    shuffled = table.take(pa.array(np.random.default_rng(0).permutation(table.num_rows)))

    def held(parts):
        return {parts.holdout.unit_ids[u].as_py() for u in parts.holdout.units}

    assert held(a_split(job, table)) == held(a_split(job, shuffled))
    assert held(a_split(job, table)) != held(a_split(job, table, digest="e" * 64))
    assert held(a_split(job, table)) != held(a_split(job, table, key=b"l" * 32))


def test_a_limit_on_training_units_leaves_the_held_out_units_as_they_were():
    table = farms(1, units=100)
    free = a_split(a_job(holdout=0.3), table)
    limited = a_split(a_job(holdout=0.3, train_units=(("IDN", 7),)), table)
    assert limited.train.unit_count == 7
    assert set(limited.train.units) <= set(free.train.units)
    assert limited.holdout.units.tolist() == free.holdout.units.tolist()
    assert a_split(a_job(train_units=(("IDN", 700),)), table).train.unit_count == 100

import json

import numpy as np
import pytest

from bandung.federation.domain.calls import Step, Stepped
from bandung.federation.training.driver import drive
from bandung.gateway.client.jobs import StepKind, from_bytes
from bandung.gateway.domain.job import Term
from bandung.gateway.domain.policy import TrainingRules
from tests.support.coordination import MemoryExchange, MemoryJournal, no_wait
from tests.support.training import a_job, an_adoption_job, countries, farms, pooled, signed

TABLES = {"BGD": farms(1, missing=7), "IDN": farms(2, shift=0.3), "PHL": farms(3, units=40)}


def run(job, tables=TABLES, rules=None):
    exchange, journal = MemoryExchange(countries(tables, rules)), MemoryJournal()
    drive(signed(job), exchange, journal, wait=no_wait)
    return exchange, journal


@pytest.mark.parametrize(
    "job",
    [
        a_job(),
        a_job(country_intercepts=True),
        a_job(rounds_max=1),
        an_adoption_job(),
        an_adoption_job(country_intercepts=True),
    ],
    ids=["linear", "linear by country", "linear in one step", "logistic", "logistic by country"],
)
def test_the_federated_fit_is_the_pooled_fit(job):
    _, journal = run(job)
    estimates, errors, x, _ = pooled(job, TABLES)
    card = journal.model
    np.testing.assert_allclose([c.estimate for c in card.coefficients], estimates, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose([c.standard_error for c in card.coefficients], errors, rtol=1e-9)
    assert tuple(c.name for c in card.coefficients) == job.parameters
    assert card.converged
    assert card.records == len(x)
    assert journal.state["state"] == "COMPLETED"


def test_columns_of_very_different_size_need_no_scaling_by_the_author():
    # Squared prices reach 8e9, and their squares in X'WX 6e19 a record: too much for a 64-bit word.
    features = (Term("area", "log"), Term("price", "identity"), Term("price", "square"))
    job = a_job(features=features)
    _, journal = run(job)
    estimates, errors, _, _ = pooled(job, TABLES)
    np.testing.assert_allclose([c.estimate for c in journal.model.coefficients], estimates, rtol=1e-8)
    np.testing.assert_allclose([c.standard_error for c in journal.model.coefficients], errors, rtol=1e-8)


def test_a_coordinator_sees_uniform_noise_and_the_pooled_sums_only():
    exchange, _ = run(a_job())
    words = [w for _, _, answer in exchange.steps() for w in from_bytes(Stepped.from_bytes(answer).masked)]
    bits = np.unpackbits(np.frombuffer(b"".join(w.to_bytes(24, "little") for w in words), dtype=np.uint8))
    # 3 countries x 2 rounds x 17 sums x 192 bits, six standard deviations.
    assert abs(bits.mean() - 0.5) < 3 / len(bits) ** 0.5
    assert len(set(words)) == len(words)


def test_the_progress_of_every_round_and_country_is_told():
    _, journal = run(an_adoption_job())
    rounds = [e for e in journal.events if e["type"] == "round" and e["kind"] == "newton"]
    assert {e["member"] for e in rounds} == {"BGD", "IDN", "PHL"}
    assert all(e["outcome"] == "answer" and 500 < e["bytes"] < 3000 for e in rounds)
    steps = [e["step"] for e in journal.events if e["type"] == "step"]
    assert steps == list(range(1, len(steps) + 1))
    assert journal.phases == ["WAITING", "RUNNING", "EVALUATING", "FINISHED"]


def test_held_out_units_measure_the_federated_and_the_local_model():
    tables = {**TABLES, "PHL": farms(3, units=60)}
    job = a_job(holdout=0.3, train_units=(("PHL", 8),))
    _, journal = run(job, tables, TrainingRules(allowed=True, cohort_min=2, units_min=3))
    philippines = next(p for p in journal.model.participants if p.member == "PHL")
    assert philippines.counts["units.train"] == 10  # 8, rounded to base 5
    assert 10 <= philippines.counts["units.holdout"] <= 30
    assert set(philippines.metrics) == {"rmse.federated", "rmse.local", "rmse.mean"}
    assert philippines.metrics["rmse.federated"] < philippines.metrics["rmse.local"] < philippines.metrics["rmse.mean"]
    assert all(float(f"{v:.3g}") == v for v in philippines.metrics.values())


def test_a_country_with_too_few_held_out_units_is_reported_without_metrics():
    _, journal = run(a_job(holdout=0.1))
    philippines = next(p for p in journal.model.participants if p.member == "PHL")
    assert philippines.metrics == {}
    assert philippines.evaluation_refused.startswith("B401")
    assert journal.state["state"] == "COMPLETED"


def test_a_country_that_refuses_is_named_with_its_reason_and_the_rest_goes_on():
    tables = {**TABLES, "PHL": farms(3, units=5)}
    job = a_job()
    _, journal = run(job, tables)
    philippines = next(p for p in journal.model.participants if p.member == "PHL")
    assert philippines.out.startswith("B401")
    assert journal.model.cohort == ("BGD", "IDN")
    estimates, _, _, _ = pooled(a_job(("BGD", "IDN")), TABLES)
    np.testing.assert_allclose([c.estimate for c in journal.model.coefficients], estimates, rtol=1e-9)
    assert any("PHL takes no part" in caveat for caveat in journal.model.caveats)


def test_an_intercept_of_a_country_that_left_is_not_in_the_model():
    tables = {**TABLES, "PHL": farms(3, units=5)}
    _, journal = run(a_job(country_intercepts=True), tables)
    names = [c.name for c in journal.model.coefficients]
    assert names[:2] == ["intercept[BGD]", "intercept[IDN]"]
    assert "intercept[PHL]" not in names
    assert len(journal.model.covariance) == len(names)


def test_too_few_countries_end_the_job_with_the_reasons():
    tables = {"BGD": farms(1), "IDN": farms(2, units=5), "PHL": farms(3, units=5)}
    _, journal = run(a_job(), tables)
    assert journal.phases[-1] == "REFUSED"
    assert journal.state["state"] == "FAILED"
    assert "IDN: B401" in journal.state["reason"]
    assert journal.written is None


def test_collinear_columns_are_named():
    features = (Term("irrigated", "code", "yes"), Term("irrigated", "code", "no"))
    _, journal = run(a_job(features=features))
    assert journal.phases[-1] == "FAILED"
    assert "irrigated=yes" in journal.state["reason"]
    assert "intercept" in journal.state["reason"]


def test_a_fit_that_does_not_settle_says_so():
    _, journal = run(an_adoption_job(rounds_max=2, tolerance=1e-12))
    assert not journal.model.converged
    assert "did not settle" in journal.model.caveats[0]


def test_a_job_that_does_not_hold_up_fails_at_once():
    journal = MemoryJournal()
    drive(b"{}", MemoryExchange({}), journal, wait=no_wait)
    assert journal.state["state"] == "FAILED"


def test_a_quota_that_runs_out_is_the_country_s_last_word():
    rules = TrainingRules(allowed=True, cohort_min=2, steps_per_analyst=3)
    _, journal = run(an_adoption_job(), rules=rules)
    assert journal.phases[-1] == "REFUSED"
    assert "B303" in journal.state["reason"]


def test_every_used_answer_has_its_receipt_on_the_card():
    exchange, journal = run(a_job())
    told = {(r["member"], r["round"], r["kind"]) for r in journal.model.receipts}
    answered = {(m, call.round, call.kind.value) for m, call, _ in exchange.seen if isinstance(call, Step)}
    assert told == answered
    assert {kind for _, _, kind in told} == {StepKind.NEWTON.value, StepKind.EVALUATE.value}
    assert json.dumps(journal.written)

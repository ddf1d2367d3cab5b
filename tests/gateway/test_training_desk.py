"""One country's side of a job: who may, what leaves, what is on the record."""

from dataclasses import replace

import numpy as np
import pytest

from bandung.connectors.base import SourceError, Stop
from bandung.gateway.domain.agreement import AgreementState
from bandung.gateway.domain.errors import Refusal
from bandung.gateway.domain.job import Decision, StepKind, Term
from bandung.gateway.domain.job_document import job_digest
from bandung.gateway.domain.ledger import EventKind
from bandung.gateway.domain.party import Principal, Role
from bandung.gateway.domain.policy import TrainingRules
from bandung.gateway.service.training import StepRequest
from bandung.gateway.training import answers
from tests.support.builders import ANI, BUDI
from tests.support.training import (
    STRANGER_KEY,
    a_farm_dataset,
    a_job,
    an_adoption_job,
    an_open_agreement,
    countries,
    farms,
    signed,
)

MEMBERS = ("BGD", "IDN", "PHL")
OPEN = TrainingRules(allowed=True, cohort_min=2)


def indonesia(table=None, rules=OPEN, **agreement):
    mine = farms(2) if table is None else table
    return countries({m: mine if m == "IDN" else farms(1, units=2) for m in MEMBERS}, rules, **agreement)["IDN"]


def propose(country, job=None):
    return country.desk.propose(country.courier, signed(job or a_job()), "x-propose")


def request(job=None, number=1, kind=StepKind.NEWTON, cohort=MEMBERS, coefficients=None):
    job = job or a_job()
    zeros = (0.0,) * len(job.parameters)
    return StepRequest(job_digest(job), kind, number, cohort, zeros if coefficients is None else coefficients)


def step(country, asked=None, stop=None):
    return country.desk.step(country.courier, asked or request(), "x-step", stop or Stop())


def test_a_standing_rule_consents_at_once_and_both_acts_are_recorded():
    country = indonesia()
    record = propose(country)
    assert record.decision is Decision.CONSENTED
    assert record.decided_by == "agreement:farms-1"
    assert country.ledger.kinds == [EventKind.JOB_PROPOSED, EventKind.JOB_DECIDED]


def test_without_a_standing_rule_a_person_decides_with_a_reason():
    country = indonesia(training_consent=False)
    assert propose(country).decision is Decision.PENDING
    with pytest.raises(Refusal, match="B304"):
        step(country)
    with pytest.raises(Refusal, match="needs a reason"):
        country.desk.decide(country.custodian, job_digest(a_job()), Decision.CONSENTED, " ", "x")
    country.desk.decide(country.custodian, job_digest(a_job()), Decision.CONSENTED, "useful", "x")
    assert step(country).vector.schema == a_job().newton_schema
    assert country.jobs.get(job_digest(a_job())).decided_by == country.custodian.uri


@pytest.mark.parametrize("who", [ANI, Principal("idn.bandung.example", Role.COURIER)])
def test_only_a_custodian_decides(who):
    country = indonesia(training_consent=False)
    propose(country)
    with pytest.raises(Refusal, match="B103"):
        country.desk.decide(who, job_digest(a_job()), Decision.CONSENTED, "mine", "x")
    assert country.ledger.kinds[-1] is EventKind.JOB_REJECTED


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (Decision.REFUSED, Decision.CONSENTED),
        (Decision.CONSENTED, Decision.REFUSED),
        (Decision.CONSENTED, Decision.PENDING),
    ],
)
def test_decisions_follow_one_another_in_one_direction_only(first, then):
    country = indonesia(training_consent=False)
    propose(country)
    country.desk.decide(country.custodian, job_digest(a_job()), first, "so", "x")
    with pytest.raises(Refusal, match="cannot follow"):
        country.desk.decide(country.custodian, job_digest(a_job()), then, "so", "x")


def test_withdrawn_consent_stops_the_next_step_with_the_reason():
    country = indonesia()
    propose(country)
    step(country)
    country.desk.decide(country.custodian, job_digest(a_job()), Decision.WITHDRAWN, "new law", "x")
    with pytest.raises(Refusal, match=r"B305.*new law"):
        step(country, request(number=2))
    with pytest.raises(Refusal, match="B305"):
        step(country)


def test_a_proposal_repeated_changes_nothing_and_leaves_no_trace():
    country = indonesia()
    propose(country)
    entries = len(country.ledger.commits)
    propose(country)
    assert len(country.ledger.commits) == entries


def tampered():
    return signed(a_job()).replace(b'"purpose":"what', b'"purpose":"WHAT')


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (tampered(), "B306"),
        (signed(a_job(), STRANGER_KEY), "B306"),
        (signed(a_job(author=BUDI.uri)), "B306"),
        (b"[]", "B306"),
        (signed(a_job(("BGD", "PHL"))), "B306"),
        (signed(a_job(("BGD", "IDN", "USA"))), "B306"),
        (signed(a_job(rounds_max=51)), "B306"),
        (signed(a_job(features=(Term("wealth", "identity"),))), "B301"),
        (signed(a_job(datasets=(("BGD", "farms"), ("IDN", "secrets"), ("PHL", "farms")))), "B203"),
    ],
    ids=["tampered", "forged", "other author", "no envelope", "not asked", "unpinned", "rounds", "column", "dataset"],
)
def test_a_proposal_that_does_not_hold_up_is_refused_and_recorded(document, code):
    country = indonesia()
    with pytest.raises(Refusal, match=code):
        country.desk.propose(country.courier, document, "x")
    assert country.jobs.all() == ()
    assert country.ledger.kinds == [EventKind.JOB_REJECTED]


@pytest.mark.parametrize(
    "rules", [TrainingRules(), TrainingRules(allowed=True, cohort_min=3), TrainingRules(allowed=True, rounds_max=5)]
)
def test_the_dataset_s_rules_bind_the_job(rules):
    with pytest.raises(Refusal, match="B306"):
        propose(indonesia(rules=rules))


@pytest.mark.parametrize(
    ("change", "code"), [({"state": AgreementState.SUSPENDED}, "B302"), ({"not_after": "2025-01-01T00:00:00Z"}, "B301")]
)
def test_an_agreement_that_ends_in_the_middle_of_a_job_stops_it(change, code):
    country = indonesia()
    propose(country)
    step(country)
    country.agreed.agreements = [an_open_agreement(a_farm_dataset(), **change)]
    with pytest.raises(Refusal, match=code):
        step(country, request(number=2))


def test_analysts_see_their_own_jobs_officers_see_all():
    country = indonesia()
    propose(country)
    assert len(country.desk.jobs(ANI)) == 1
    assert country.desk.jobs(BUDI) == ()
    assert len(country.desk.jobs(country.custodian)) == 1


def test_a_repeated_step_is_free_identical_and_on_the_record():
    country = indonesia()
    propose(country)
    first, second = step(country), step(country)
    assert np.array_equal(first.vector.values, second.vector.values)
    assert first.receipt == second.receipt
    assert country.ledger.kinds[-2:] == [EventKind.STEP_ANSWERED, EventKind.STEP_REPEATED]
    assert country.ledger.spent["steps/farms:2026"] == 1
    assert country.source.reads == 1


@pytest.mark.parametrize(
    "other",
    [request(coefficients=(1.0, 0.0, 0.0, 0.0)), request(cohort=("BGD", "IDN"))],
    ids=["coefficients", "cohort"],
)
def test_a_mask_is_never_used_for_two_vectors(other):
    country = indonesia()
    propose(country)
    step(country)
    with pytest.raises(Refusal, match="B307"):
        step(country, other)
    assert country.ledger.kinds[-1] is EventKind.STEP_REFUSED


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (request(cohort=("IDN",)), "B306"),
        (request(cohort=("BGD", "PHL")), "B306"),
        (request(cohort=("IDN", "BGD")), "B306"),
        (request(cohort=("IDN", "IDN")), "B306"),
        (request(cohort=("IDN", "USA")), "B306"),
        (request(number=0), "B211"),
        (request(coefficients=(0.0,)), "B211"),
        (request(coefficients=(float("nan"), 0.0, 0.0, 0.0)), "B211"),
        (request(a_job(name="another")), "B306"),
    ],
    ids=["alone", "without us", "unsorted", "twice", "stranger", "round 0", "short", "nan", "unknown job"],
)
def test_a_step_that_is_not_as_it_should_be_is_refused_before_any_record_is_read(asked, code):
    country = indonesia()
    propose(country)
    with pytest.raises(Refusal, match=code):
        step(country, asked)
    assert country.source.reads == 0
    assert country.ledger.kinds[-1] is EventKind.STEP_REFUSED
    assert country.ledger.spent == {}


def test_a_cohort_below_the_job_s_own_minimum_is_refused():
    country = indonesia()
    job = a_job(cohort_min=3)
    propose(country, job)
    with pytest.raises(Refusal, match="smaller"):
        step(country, request(job, cohort=("BGD", "IDN")))


@pytest.mark.parametrize(
    ("table", "rules", "job"),
    [
        (farms(2, units=9), OPEN, a_job()),
        (farms(2, units=30), TrainingRules(allowed=True, cohort_min=2, units_per_parameter_min=10), a_job()),
        (farms(2), OPEN, a_job(features=(Term("area", "log"), Term("irrigated", "code", "unknown")))),
        (farms(2), TrainingRules(allowed=True, cohort_min=2, units_min=195), an_adoption_job()),
    ],
    ids=["few units", "many coefficients", "empty category", "rare outcome"],
)
def test_small_groups_never_leave_and_the_refusal_says_nothing_of_the_data(table, rules, job):
    country = indonesia(table, rules)
    propose(country, job)
    with pytest.raises(Refusal, match="B401") as refused:
        step(country, request(job))
    assert refused.value.detail == ""
    assert refused.value.private != ""
    assert country.ledger.kinds[-1] is EventKind.STEP_FAILED
    assert country.ledger.spent["steps/farms:2026"] == 1, "the charge is kept"


def test_a_column_without_variation_never_leaves():
    table = farms(2).set_column(2, "price", [[500] * 400])
    country = indonesia(table)
    propose(country)
    with pytest.raises(Refusal, match="B401"):
        step(country)


def test_coefficients_that_single_out_few_records_get_nothing():
    country = indonesia()
    job = an_adoption_job()
    propose(country, job)
    # All but the farms nearest to one price get a weight of nearly zero.
    with pytest.raises(Refusal, match="B401") as refused:
        step(country, request(job, coefficients=(-45_000.0, 0.0, 1.0, 0.0)))
    assert "weights" in refused.value.private


def test_units_with_many_records_do_not_make_the_others_count_less():
    table = farms(2, units=12, seasons=4)
    unbalanced = table.filter([unit % 12 > 5 or n % 4 < 2 for n, unit in enumerate(table["unit"].to_pylist())])
    for job in (a_job(features=(Term("price", "identity"),)), an_adoption_job(features=(Term("price", "identity"),))):
        country = indonesia(unbalanced, TrainingRules(allowed=True, cohort_min=2, units_min=6))
        propose(country, job)
        step(country, request(job))


def test_a_failing_source_keeps_the_charge_and_its_words():
    country = indonesia()
    propose(country)
    country.source.fault = SourceError("farm 4711 is not a number")
    with pytest.raises(Refusal, match="B401") as refused:
        step(country)
    assert "4711" not in refused.value.message
    assert country.ledger.kinds[-1] is EventKind.STEP_FAILED
    assert country.ledger.spent["steps/farms:2026"] == 1


def test_a_step_that_its_caller_gave_up_releases_nothing():
    country = indonesia()
    propose(country)
    stop = Stop()
    stop.set()
    with pytest.raises(Refusal, match="B403"):
        step(country, stop=stop)
    assert country.ledger.answers == {}


def test_no_ledger_no_answer():
    country = indonesia()
    propose(country)
    country.ledger.sealed = True
    with pytest.raises(Refusal, match="B405"):
        step(country)


@pytest.mark.parametrize("quota", ["steps_per_dataset", "steps_per_analyst"])
def test_the_quota_of_steps_holds(quota):
    country = indonesia(rules=TrainingRules(allowed=True, cohort_min=2, **{quota: 2}))
    propose(country)
    step(country)
    step(country, request(number=2))
    with pytest.raises(Refusal, match="B303"):
        step(country, request(number=3))
    step(country)  # a repeat stays free


def test_a_job_cannot_take_more_steps_than_rounds_and_one_evaluation():
    country = indonesia(rules=TrainingRules(allowed=True, cohort_min=2, rounds_max=2))
    job = a_job(rounds_max=2)
    propose(country, job)
    for number in (1, 2, 3):
        step(country, request(job, number))
    with pytest.raises(Refusal, match="B303"):
        step(country, request(job, 4))


def test_a_job_is_evaluated_at_one_set_of_coefficients_only():
    country = indonesia()
    job = a_job(holdout=0.3)
    propose(country, job)
    step(country, request(job, 5, StepKind.EVALUATE))
    with pytest.raises(Refusal, match="B307"):
        step(country, request(job, 6, StepKind.EVALUATE, coefficients=(1.0, 0.0, 0.0, 0.0)))


def test_evaluation_of_a_binomial_model_is_rounded_and_compared():
    country = indonesia(farms(2, units=400))
    job = an_adoption_job(holdout=0.4)
    propose(country, job)
    answer = step(country, request(job, 1, StepKind.EVALUATE, coefficients=(-0.5, 0.3, 1.5e-5, -0.7)))
    metrics = dict(zip(answer.vector.schema, answer.vector.values.tolist(), strict=True))
    assert metrics["log_loss.federated"] < metrics["log_loss.mean"]
    assert metrics["brier.local"] < metrics["brier.mean"]
    assert metrics["units.holdout"] % 5 == 0
    assert all(float(f"{value:.3g}") == value for value in metrics.values())


def test_a_separable_country_still_gets_a_finite_local_model():
    table = farms(2, units=100)
    by_price = [["yes" if p.as_py() > 45_000 else "no" for p in table["price"]]]
    country = indonesia(table.set_column(5, "adopts", by_price))
    job = an_adoption_job(holdout=0.4)
    propose(country, job)
    answer = step(country, request(job, 1, StepKind.EVALUATE))
    assert np.isfinite(answer.vector.values).all()


def test_records_are_read_once_for_all_rounds_and_never_of_another_epoch_than_was_consented_to():
    country = indonesia()
    propose(country)
    for number in (1, 2):
        step(country, request(number=number))
    country.shelf.epoch = replace(country.shelf.epoch, id="farms@2", number=2)
    with pytest.raises(Refusal, match=r"B306.*farms@1"):
        step(country, request(number=3))
    assert country.source.reads == 1


def test_nothing_on_the_record_is_a_value_of_a_record():
    country = indonesia()
    propose(country)
    step(country)
    body = country.ledger.commits[-1].event.body
    assert set(body) == {
        "job", "kind", "round", "cohort", "epoch", "agreement", "agreement_version", "purpose", "answer",
    }  # fmt: skip


def test_a_stored_answer_is_the_answer():
    country = indonesia()
    propose(country)
    given = step(country)
    (stored,) = country.ledger.answers.values()
    kept = answers.from_bytes(stored.content)
    assert np.array_equal(kept.values, given.vector.values)
    assert kept.schema == given.vector.schema


def test_a_dataset_without_usable_records_is_refused_like_a_small_one():
    for table in (farms(2).slice(0, 0), farms(2, missing=400)):
        country = indonesia(table)
        propose(country)
        with pytest.raises(Refusal, match="B401"):
            step(country)


def test_consent_withdrawn_while_the_sums_are_computed_keeps_them_at_home():
    country = indonesia()
    propose(country)
    read = country.source.rows

    def withdraw_and_read(query, stop):
        country.desk.decide(country.custodian, job_digest(a_job()), Decision.WITHDRAWN, "in between", "x")
        return read(query, stop)

    country.source.rows = withdraw_and_read
    with pytest.raises(Refusal, match="B305"):
        step(country)
    assert country.ledger.answers == {}
    assert country.ledger.spent["steps/farms:2026"] == 1

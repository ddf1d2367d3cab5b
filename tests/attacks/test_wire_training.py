"""A courier, or a coordinator behind it, that wants more of a country's sums than was consented to.

How the attacks work: (1) a mask hides one vector; two vectors under the same mask give their difference away, so the
same round is asked again with other coefficients or another cohort. (2) A cohort of one country is its sum, open.
(3) Consent was given by a standing rule of an agreement; the agreement is suspended, ends or loses the rule while the
job runs, perhaps while a step is being computed. (4) Two processes of a gateway are asked the same step at once.
(5) Somebody who knows a job's text asks what the country decided about it, without the author's key. (6) The dataset is
published anew while a job runs: the same step over both epochs differs by exactly the records that changed, and units
that were held out are trained on. A live source changes without being published.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bandung.gateway.client import GatewayError
from bandung.gateway.client.jobs import StepKind
from bandung.gateway.client.values import StepResult
from bandung.gateway.domain.agreement import AgreementState
from bandung.gateway.domain.job import Decision, Job
from bandung.gateway.domain.job_document import job_digest
from bandung.gateway.domain.party import Principal
from tests.support.clients import a_client
from tests.support.gateway import AGREEMENT, Gateway, a_gateway

COHORT = ("BGD", "IDN")
ZEROS = (0.0, 0.0, 0.0)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with a_gateway(tmp_path) as gateway:
        gateway.publish()
        gateway.agree(training_consent=True)
        yield gateway


def propose(gateway: Gateway, job: Job) -> str:
    with a_client(gateway.address, gateway.idn.ca, gateway.identity("courier")) as courier:
        courier.propose(gateway.signed(job))
    return job_digest(job)


def step(
    gateway: Gateway,
    digest: str,
    number: int = 1,
    cohort: Any = COHORT,
    at: Any = ZEROS,
    who: str = "courier",
    kind: StepKind = StepKind.NEWTON,
) -> StepResult:
    with a_client(gateway.address, gateway.idn.ca, gateway.identity(who)) as courier:
        return courier.step(digest, kind, number, cohort, at)


def code_of(action: Any, *arguments: Any) -> str:
    with pytest.raises(GatewayError) as caught:
        action(*arguments)
    return caught.value.code


def test_a_mask_is_never_used_for_two_vectors(gateway: Gateway):
    digest = propose(gateway, gateway.job())
    first = step(gateway, digest)
    assert step(gateway, digest).masked == first.masked
    assert code_of(step, gateway, digest, 1, COHORT, (1.0, 0.0, 0.0)) == "B307"
    assert gateway.last() == ("step.refused", "B307")
    assert gateway.spent("steps/farms:1976") == 1


@pytest.mark.parametrize(
    "cohort", [("IDN",), ("BGD",), (), ("IDN", "BGD"), ("BGD", "IDN", "IDN"), ("BGD", "IDN", "XXX")]
)
def test_only_a_cohort_of_the_job_is_added_up(gateway: Gateway, cohort: Any):
    digest = propose(gateway, gateway.job())
    assert code_of(step, gateway, digest, 1, cohort) == "B306"
    assert gateway.last() == ("step.refused", "B306")


@pytest.mark.parametrize("at", [(1e308, 1e308, 1e308), (-1e308, 1e308, 0.0)])
@pytest.mark.parametrize("kind", list(StepKind))
def test_coefficients_beyond_all_measure_are_refused_like_anything_that_depends_on_data(
    gateway: Gateway, at: Any, kind: StepKind
):
    digest = propose(gateway, gateway.job(holdout=0.3))
    assert code_of(step, gateway, digest, 1, COHORT, at, "courier", kind) == "B401"
    assert gateway.last() == ("step.failed", "B401")


@pytest.mark.parametrize("who", ["analyst/ani", "custodian/citra", "gateway", "operator/o"])
def test_nobody_but_the_courier_takes_steps(gateway: Gateway, who: str):
    digest = propose(gateway, gateway.job())
    assert code_of(step, gateway, digest, 1, COHORT, ZEROS, who) == "B103"


def test_a_suspended_agreement_stops_the_next_step_and_a_stored_one_at_once(gateway: Gateway):
    digest = propose(gateway, gateway.job())
    step(gateway, digest)
    gateway.set_state(AgreementState.SUSPENDED)
    assert code_of(step, gateway, digest, 2) == "B302"
    assert code_of(step, gateway, digest) == "B302"
    gateway.set_state(AgreementState.ACTIVE)
    assert step(gateway, digest, 2).masked


@pytest.mark.parametrize("stopping", ["suspended", "withdrawn"])
def test_what_stops_while_the_sums_are_computed_keeps_them_at_home(gateway: Gateway, stopping: str):
    digest = propose(gateway, gateway.job())
    acts = {"suspended": lambda: gateway.set_state(AgreementState.SUSPENDED), "withdrawn": gateway.withdraw}
    gateway.between.meanwhile = acts[stopping]
    assert code_of(step, gateway, digest) in {"B302", "B203"}
    assert gateway.last()[0] == "step.failed"
    assert gateway.ledger.answer(f"step/{digest}/1/newton") is None


def test_consent_by_a_standing_rule_ends_with_the_rule_until_a_person_consents(gateway: Gateway):
    digest = propose(gateway, gateway.job())
    step(gateway, digest)
    gateway.agree(version=2, training_consent=False)
    assert code_of(step, gateway, digest, 2) == "B304"
    custodian = Principal.from_uri(gateway.idn.uri("custodian/citra"))
    gateway.training.decide(custodian, digest, Decision.CONSENTED, "looked at it", "ab" * 16)
    assert step(gateway, digest, 2).masked


def test_the_rule_of_an_ended_agreement_does_not_outlive_it_under_another_one(gateway: Gateway):
    digest = propose(gateway, gateway.job())
    gateway.agree(id="farms-2", training_consent=False)
    gateway.set_state(AgreementState.ENDED, AGREEMENT)
    assert code_of(step, gateway, digest) == "B304"


def test_a_step_that_another_process_answered_meanwhile_is_served_as_its_repeat(gateway: Gateway):
    digest = propose(gateway, gateway.job())
    key, answers, asked = f"step/{digest}/1/newton", gateway.ledger.answer, []

    def too_early(wanted: str) -> Any:
        """What a process sees that looked just before the other one's commit."""
        asked.append(wanted)
        return None if len(asked) == 2 else answers(wanted)

    gateway.ledger.answer = too_early  # type: ignore[method-assign]
    first = step(gateway, digest)
    again = step(gateway, digest)
    assert asked[:2] == [key, key]
    assert again.masked == first.masked
    assert [entry.event.kind.value for entry in gateway.entries()[-2:]] == ["step.answered", "step.repeated"]
    assert gateway.spent("steps/farms:1976") == 1


def test_consent_to_one_epoch_is_none_to_the_next(gateway: Gateway):
    digest = propose(gateway, gateway.job())
    step(gateway, digest)
    gateway.publish()
    assert code_of(step, gateway, digest, 2) == "B306"
    assert code_of(step, gateway, digest) == "B306"
    assert step(gateway, propose(gateway, gateway.job(created="2026-01-02T00:00:00Z"))).masked


def test_an_epoch_that_comes_while_the_sums_are_computed_keeps_them_at_home(gateway: Gateway):
    digest = propose(gateway, gateway.job())
    gateway.between.meanwhile = gateway.publish
    assert code_of(step, gateway, digest) == "B306"
    assert gateway.last() == ("step.failed", "B306")


def test_a_person_consents_to_the_data_as_they_are_then(gateway: Gateway):
    gateway.agree(version=2, training_consent=False)
    digest = propose(gateway, gateway.job())
    gateway.publish()
    custodian = Principal.from_uri(gateway.idn.uri("custodian/citra"))
    gateway.training.decide(custodian, digest, Decision.CONSENTED, "looked at it", "ab" * 16)
    assert step(gateway, digest).masked


@pytest.mark.parametrize("change", ["a row is gone", "a value is gone"])
def test_a_live_source_that_holds_other_rows_than_were_published_is_not_trained_on(gateway: Gateway, change: str):
    path = gateway.directory / "farms.csv"
    header, *rows = path.read_text().splitlines()
    keyed = [f"{row},{1 + int(row[2:7])}" if row[0] == '"' else f"{row},{1 + int(row[1:6])}" for row in rows]
    path.write_text("\n".join([f'{header},"k"', *keyed]) + "\n")
    gateway.publish(dataset__mode="live", unit__key="k")
    digest = propose(gateway, gateway.job())
    farm, place, age, urea, phosphate, _, key = keyed[-1].split(",")
    without_balance = ",".join([farm, place, age, urea, phosphate, "", key])
    last = [without_balance] if change == "a value is gone" else []
    path.write_text("\n".join([f'{header},"k"', *keyed[:-1], *last]) + "\n")
    assert code_of(step, gateway, digest) == "B401"
    assert gateway.last() == ("step.failed", "B401")


def test_who_only_knows_a_jobs_text_is_not_told_what_was_decided(gateway: Gateway):
    job = gateway.job()
    propose(gateway, job)
    forged = gateway.signed(job, "analyst/budi")
    with a_client(gateway.address, gateway.idn.ca, gateway.identity("analyst/budi")) as budi:
        assert code_of(budi.propose, forged) == "B306"
        assert budi.jobs() == ()


@pytest.mark.parametrize(
    "change",
    [
        {"cohort_min": 1},
        {"members": ("BGD", "IDN", "PHL"), "datasets": (("BGD", "f"), ("IDN", "farms"), ("PHL", "f"))},
        {"rounds_max": 51},
    ],
)
def test_a_job_outside_the_rules_is_not_taken_in(gateway: Gateway, change: dict[str, Any]):
    assert code_of(propose, gateway, replace(gateway.job(), **change)) == "B306"

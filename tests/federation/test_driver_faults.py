"""Lost countries, withdrawn consent, crashes: every job ends in a clear state, and no mask serves twice."""

import numpy as np
import pytest

from bandung.federation.domain.calls import Propose, Step
from bandung.federation.domain.progress import NEXT, Phase, Progress
from bandung.federation.training.driver import drive
from bandung.federation.training.muster import Pace
from bandung.gateway.client.jobs import StepKind
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.job import Decision
from bandung.gateway.domain.job_document import job_digest
from bandung.gateway.domain.ledger import EventKind
from tests.support.coordination import Crash, MemoryExchange, MemoryJournal, no_wait
from tests.support.training import a_job, an_adoption_job, countries, farms, pooled, signed

TABLES = {"BGD": farms(1), "IDN": farms(2, shift=0.3), "PHL": farms(3, units=60)}
THE_TWO = an_adoption_job(members=("BGD", "IDN"))
SHORT = Pace(patience_s=5.0, gather_s=1.0)


def estimates(journal):
    return [c.estimate for c in journal.model.coefficients]


def is_step(call, number):
    return isinstance(call, Step) and call.kind is StepKind.NEWTON and call.round == number


def test_a_lost_country_pauses_the_job_until_it_is_back():
    job, journal = an_adoption_job(), MemoryJournal()
    exchange = MemoryExchange(countries(TABLES))
    lost = exchange.countries["PHL"]

    def fault(member, call):
        lost.down |= member == "PHL" and is_step(call, 2) and not waits
        return

    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 5:
            lost.down = False

    exchange.fault = fault
    drive(signed(job), exchange, journal, wait=wait)
    assert journal.phases == ["WAITING", "RUNNING", "PAUSED", "RUNNING", "EVALUATING", "FINISHED"]
    assert journal.model.cohort == ("BGD", "IDN", "PHL")
    np.testing.assert_allclose(estimates(journal), pooled(job, TABLES)[0], rtol=1e-9)


def test_the_rule_continue_goes_on_without_the_lost_country():
    job, journal = an_adoption_job(on_loss="continue"), MemoryJournal()
    exchange = MemoryExchange(countries(TABLES))

    def fault(member, call):
        exchange.countries["PHL"].down |= member == "PHL" and is_step(call, 3)
        return

    exchange.fault = fault
    drive(signed(job), exchange, journal, wait=no_wait)
    assert "PAUSED" not in journal.phases
    assert journal.model.cohort == ("BGD", "IDN")
    np.testing.assert_allclose(estimates(journal), pooled(THE_TWO, TABLES)[0], rtol=1e-9)
    assert next(p for p in journal.model.participants if p.member == "PHL").out


def test_the_rule_continue_does_not_wait_for_ever_at_the_start_either():
    exchange, journal = MemoryExchange(countries(TABLES)), MemoryJournal()
    exchange.countries["BGD"].down = True
    drive(signed(a_job(on_loss="continue")), exchange, journal, SHORT, no_wait)
    assert journal.model.cohort == ("IDN", "PHL")


def test_no_round_number_is_asked_twice_with_another_cohort_or_other_coefficients():
    job, journal = an_adoption_job(on_loss="continue"), MemoryJournal()
    exchange = MemoryExchange(countries(TABLES))
    asked = {}

    def fault(member, call):
        if isinstance(call, Step):
            contents = (call.kind, call.cohort, call.coefficients)
            assert asked.setdefault(call.round, contents) == contents
        # The gateway answers, but the answer is lost: its mask is used.
        return "after" if member == "IDN" and is_step(call, 2) else None

    exchange.fault = fault
    drive(signed(job), exchange, journal, wait=no_wait)
    assert journal.model.cohort == ("BGD", "PHL")


@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_crashed_driver_resumes_and_comes_to_the_same_model(at):
    job, journal = an_adoption_job(), MemoryJournal()
    exchange = MemoryExchange(countries(TABLES))

    def fault(member, call):
        if member == "IDN" and is_step(call, at):
            raise Crash
        return

    exchange.fault = fault
    with pytest.raises(Crash):
        drive(signed(job), exchange, journal, wait=no_wait)
    exchange.fault = lambda _member, _call: None
    drive(signed(job), exchange, journal, wait=no_wait)
    np.testing.assert_allclose(estimates(journal), pooled(job, TABLES)[0], rtol=1e-9)
    contents = {}
    for member, step, _ in exchange.steps():
        assert contents.setdefault((member, step.round), step) == step, "a mask was used twice"


def test_a_crash_between_fit_and_evaluation_evaluates_the_same_model_once():
    job, journal = a_job(holdout=0.3), MemoryJournal()
    exchange = MemoryExchange(countries(TABLES))

    def fault(member, call):
        if member == "PHL" and isinstance(call, Step) and call.kind is StepKind.EVALUATE:
            raise Crash
        return

    exchange.fault = fault
    with pytest.raises(Crash):
        drive(signed(job), exchange, journal, wait=no_wait)
    exchange.fault = lambda _member, _call: None
    drive(signed(job), exchange, journal, wait=no_wait)
    assert all(p.metrics for p in journal.model.participants)
    assert EventKind.STEP_REPEATED in exchange.countries["BGD"].ledger.kinds


def test_a_coordinator_that_lost_its_memory_finds_fresh_round_numbers():
    job = an_adoption_job(on_loss="continue")
    exchange, forgotten, journal = MemoryExchange(countries(TABLES)), MemoryJournal(), MemoryJournal()

    def fault(member, call):
        if is_step(call, 4):
            raise Crash
        return "before" if member == "PHL" and is_step(call, 1) else None

    exchange.fault = fault
    with pytest.raises(Crash):
        drive(signed(job), exchange, forgotten, wait=no_wait)
    # Rounds 2 and 3 are used up for two countries; now there are three.
    exchange.fault = lambda _member, _call: None
    drive(signed(job), exchange, journal, wait=no_wait)
    outcomes = [e.get("reason", "") for e in journal.events if e["type"] == "round"]
    assert any(reason.startswith("B307") for reason in outcomes)
    assert journal.model.cohort == ("BGD", "IDN", "PHL")
    np.testing.assert_allclose(estimates(journal), pooled(job, TABLES)[0], rtol=1e-9)


def test_consent_by_a_person_is_waited_for():
    job, journal = a_job(), MemoryJournal()
    exchange = MemoryExchange(countries(TABLES, training_consent=False))
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            for c in exchange.countries.values():
                c.desk.decide(c.custodian, job_digest(job), Decision.CONSENTED, "useful", "decision")

    drive(signed(job), exchange, journal, wait=wait)
    assert journal.phases == ["WAITING", "WAITING_CONSENT", "RUNNING", "EVALUATING", "FINISHED"]
    reasons = [e["reason"] for e in journal.events if e["type"] == "phase"]
    assert "not decided: BGD, IDN, PHL" in reasons


def test_consent_withdrawn_in_the_middle_of_a_job_takes_the_country_out_with_its_reason():
    job, journal = an_adoption_job(), MemoryJournal()
    exchange = MemoryExchange(countries(TABLES))

    def fault(member, call):
        if member == "BGD" and is_step(call, 3):
            phl = exchange.countries["PHL"]
            phl.desk.decide(phl.custodian, job_digest(job), Decision.WITHDRAWN, "the minister called", "w")
        return

    exchange.fault = fault
    drive(signed(job), exchange, journal, wait=no_wait)
    assert "the minister called" in next(p for p in journal.model.participants if p.member == "PHL").out
    np.testing.assert_allclose(estimates(journal), pooled(THE_TWO, TABLES)[0], rtol=1e-9)


def test_a_refused_consent_that_leaves_too_few_ends_the_job():
    job, journal = a_job(cohort_min=3), MemoryJournal()
    exchange = MemoryExchange(countries(TABLES, training_consent=False))

    def wait(_seconds):
        for member, c in exchange.countries.items():
            decision = Decision.REFUSED if member == "IDN" else Decision.CONSENTED
            c.desk.decide(c.custodian, job_digest(job), decision, "so be it", "decision")

    drive(signed(job), exchange, journal, wait=wait)
    assert journal.phases[-1] == "REFUSED"
    assert "so be it" in journal.state["reason"]


def test_a_job_is_laid_down_when_the_patience_is_over_and_can_be_taken_up():
    exchange, journal = MemoryExchange(countries(TABLES)), MemoryJournal()
    exchange.countries["PHL"].down = True
    drive(signed(a_job()), exchange, journal, SHORT, no_wait)
    assert journal.state["state"] == "PAUSED"
    assert "not there: PHL" in journal.state["reason"]
    exchange.countries["PHL"].down = False
    drive(signed(a_job()), exchange, journal, SHORT, no_wait)
    assert journal.state["state"] == "COMPLETED"


def test_a_sealed_gateway_is_waited_for_not_given_up():
    exchange, journal = MemoryExchange(countries(TABLES)), MemoryJournal()
    ledger = exchange.countries["IDN"].ledger

    waits = []

    def fault(_member, call):
        ledger.sealed = len(waits) < 30 and (ledger.sealed or is_step(call, 2))
        return

    exchange.fault = fault
    drive(signed(an_adoption_job()), exchange, journal, wait=waits.append)
    assert "PAUSED" in journal.phases
    assert waits[-1] == 30.0
    assert journal.model.cohort == ("BGD", "IDN", "PHL")


def test_a_country_with_another_mask_key_than_the_pinned_one_is_noticed():
    reached = countries({m: TABLES[m] for m in ("BGD", "IDN", "PHL")})
    stranger = countries({m: TABLES[m] for m in ("BGD", "IDN", "PHL")})["PHL"]
    keys = stranger.desk._keys
    stranger.desk._keys = type(keys)(keys.member, bytes(range(32)), keys.public)
    exchange, journal = MemoryExchange({**reached, "PHL": stranger}), MemoryJournal()
    drive(signed(a_job()), exchange, journal, wait=no_wait)
    assert journal.phases[-1] == "FAILED"
    assert "masks do not cancel" in journal.state["reason"]


def test_a_repeated_round_costs_the_countries_that_had_answered_nothing():
    exchange, journal = MemoryExchange(countries(TABLES)), MemoryJournal()
    exchange.countries["PHL"].source.fault = Refusal(ErrorKind.SOURCE_UNAVAILABLE)
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 10:
            exchange.countries["PHL"].source.fault = None

    drive(signed(a_job()), exchange, journal, wait=wait)
    assert journal.model.cohort == ("BGD", "IDN", "PHL")
    assert exchange.countries["BGD"].ledger.spent["steps/farms:2026"] == len(journal.model.steps) + 1
    assert exchange.countries["PHL"].ledger.spent["steps/farms:2026"] == len(journal.model.steps) + 11


def test_progress_survives_json_bit_for_bit():
    exchange, journal = MemoryExchange(countries(TABLES)), MemoryJournal()
    drive(signed(a_job(holdout=0.3)), exchange, journal, wait=no_wait)
    progress = Progress.from_json(journal.load_checkpoint())
    assert Progress.from_json(progress.to_json()) == progress
    assert progress.fitted is not None


def test_every_phase_leads_to_an_end():
    ends = {phase for phase, following in NEXT.items() if not following}
    assert ends == {Phase.FINISHED, Phase.FAILED, Phase.REFUSED}
    assert NEXT.keys() == set(Phase)
    assert all(Phase.FAILED in following for phase, following in NEXT.items() if phase not in ends)


def test_polling_for_consent_slows_down():
    exchange, journal = MemoryExchange(countries(TABLES, training_consent=False)), MemoryJournal()
    waits = []
    drive(signed(a_job()), exchange, journal, Pace(patience_s=600.0), waits.append)
    assert waits[0] == 0.5
    assert waits[-1] == 30.0
    assert sum(isinstance(call, Propose) for _, call, _ in exchange.seen) < 3 * 60

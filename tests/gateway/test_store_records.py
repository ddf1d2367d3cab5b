"""Catalogue, agreements and jobs: versions kept, the newest served, changed only together with the ledger."""

from dataclasses import replace

import pytest
from sqlalchemy import event

from bandung.gateway.domain.agreement import AgreementState
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.job import Decision
from bandung.gateway.domain.ledger import EventKind
from bandung.gateway.store.agreements import SqlAgreements
from bandung.gateway.store.catalogue import SqlCatalogue
from bandung.gateway.store.jobs import SqlJobs
from tests.support.builders import a_dataset, an_agreement, an_epoch
from tests.support.ledgers import a_commit, a_job_record, a_ledger

PUBLISHED = a_commit(kind=EventKind.DATASET_PUBLISHED)
WITHDRAWN = a_commit(kind=EventKind.DATASET_WITHDRAWN)
CHANGED = a_commit(kind=EventKind.AGREEMENT_CHANGED)
DECIDED = a_commit(kind=EventKind.JOB_DECIDED)


@pytest.fixture
def opened(tmp_path):
    with a_ledger(tmp_path) as opened:
        yield opened


@pytest.fixture
def catalogue(opened):
    return SqlCatalogue(opened.engine, opened.ledger)


@pytest.fixture
def agreements(opened):
    return SqlAgreements(opened.engine, opened.ledger)


@pytest.fixture
def jobs(opened):
    return SqlJobs(opened.engine, opened.ledger)


def refusal_of(action, *arguments):
    with pytest.raises(Refusal) as refused:
        action(*arguments)
    return refused.value.kind


def test_nothing_is_current_before_it_is_published(catalogue):
    assert catalogue.current("persons") is None
    assert catalogue.all_current() == ()
    assert catalogue.next_number("persons") == 1


def test_the_newest_epoch_is_current(catalogue):
    for number in (1, 2):
        catalogue.publish(an_epoch(number=number), PUBLISHED)
        assert catalogue.current("persons") == an_epoch(number=number)
    assert catalogue.all_current() == (an_epoch(number=2),)
    assert catalogue.next_number("persons") == 3


def test_current_epochs_are_listed_by_name(catalogue):
    for name in ("persons", "farms"):
        catalogue.publish(an_epoch(a_dataset(name=name)), PUBLISHED)
    assert [epoch.dataset.name for epoch in catalogue.all_current()] == ["farms", "persons"]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_an_epoch_out_of_turn_is_neither_published_nor_recorded(catalogue, opened, number):
    catalogue.publish(an_epoch(number=1), PUBLISHED)
    assert refusal_of(catalogue.publish, an_epoch(number=number), PUBLISHED) is ErrorKind.BAD_REQUEST
    assert catalogue.current("persons") == an_epoch(number=1)
    assert opened.ledger.head()[0] == 1


def test_a_withdrawn_dataset_is_gone_until_it_is_published_anew(catalogue, opened):
    catalogue.publish(an_epoch(number=1), PUBLISHED)
    catalogue.withdraw("persons", WITHDRAWN)
    assert catalogue.current("persons") is None
    assert catalogue.all_current() == ()
    assert refusal_of(catalogue.withdraw, "persons", WITHDRAWN) is ErrorKind.UNKNOWN_DATASET
    assert refusal_of(catalogue.publish, an_epoch(number=1), PUBLISHED) is ErrorKind.BAD_REQUEST
    catalogue.publish(an_epoch(number=2), PUBLISHED)
    assert catalogue.current("persons") == an_epoch(number=2)
    assert opened.ledger.head()[0] == 3


def test_what_was_never_published_cannot_be_withdrawn(catalogue):
    assert refusal_of(catalogue.withdraw, "persons", WITHDRAWN) is ErrorKind.UNKNOWN_DATASET


def test_an_unchanged_epoch_stays_the_same_object_and_is_not_read_again(catalogue, opened):
    catalogue.publish(an_epoch(), PUBLISHED)
    first = catalogue.current("persons")
    statements = []
    event.listen(opened.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    assert catalogue.current("persons") is first
    assert statements == []
    opened.ledger.commit(a_commit(kind=EventKind.GATEWAY_STARTED))
    statements.clear()
    assert catalogue.current("persons") is first
    assert len(statements) == 1
    assert "document" not in statements[0]


def test_another_door_to_the_same_database_sees_a_change_at_its_next_call(catalogue, agreements, opened, tmp_path):
    catalogue.publish(an_epoch(), PUBLISHED)
    with a_ledger(tmp_path) as other:
        assert SqlCatalogue(other.engine, other.ledger).current("persons") == an_epoch()
        SqlCatalogue(other.engine, other.ledger).withdraw("persons", WITHDRAWN)
        SqlAgreements(other.engine, other.ledger).put(an_agreement(), CHANGED)
    assert catalogue.current("persons") is None
    assert agreements.all() == (an_agreement(),)


def test_the_newest_version_of_each_agreement_is_served(agreements):
    agreements.put(an_agreement(), CHANGED)
    agreements.put(an_agreement(id="test-2"), CHANGED)
    suspended = an_agreement(version=2, state=AgreementState.SUSPENDED)
    agreements.put(suspended, CHANGED)
    assert agreements.all() == (suspended, an_agreement(id="test-2"))


@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_version_that_does_not_rise_by_one_is_neither_stored_nor_recorded(agreements, opened, version):
    agreements.put(an_agreement(), CHANGED)
    assert refusal_of(agreements.put, an_agreement(version=version), CHANGED) is ErrorKind.BAD_REQUEST
    assert agreements.all() == (an_agreement(),)
    assert opened.ledger.head()[0] == 1


def test_an_agreement_starts_at_version_one(agreements):
    assert refusal_of(agreements.put, an_agreement(version=2), CHANGED) is ErrorKind.BAD_REQUEST


def test_a_job_is_known_with_its_newest_decision_and_the_last_proposed_comes_first(jobs):
    first = a_job_record()
    second = a_job_record(signed=replace(first.signed, digest="e" * 64))
    for record in (first, second):
        jobs.put(record, DECIDED)
    consented = replace(first, decision=Decision.CONSENTED, reason="fine", decided_by="local:citra")
    jobs.put(consented, DECIDED)
    assert jobs.get(first.signed.digest) == consented
    assert jobs.get("f" * 64) is None
    assert jobs.all() == (second, consented)


def test_every_stored_value_stands_in_the_ledger_and_reads_back_after_a_restart(opened, catalogue, agreements, jobs):
    receipts = [
        catalogue.publish(an_epoch(), PUBLISHED),
        agreements.put(an_agreement(), CHANGED),
        jobs.put(a_job_record(), DECIDED),
    ]
    assert [receipt.index for receipt in receipts] == [0, 1, 2]
    assert opened.ledger.verify() == ()
    assert SqlCatalogue(opened.engine, opened.ledger).current("persons") == an_epoch()
    assert SqlAgreements(opened.engine, opened.ledger).all() == (an_agreement(),)
    assert SqlJobs(opened.engine, opened.ledger).all() == (a_job_record(),)

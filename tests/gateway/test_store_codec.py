"""What is stored reads back as exactly the value that was stored, or not at all."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandung.connectors.base import KeyTable, Recode
from bandung.gateway.domain.agreement import Agreement
from bandung.gateway.domain.dataset import Epoch, Facts, MeasureFacts
from bandung.gateway.domain.job import JobRecord
from bandung.gateway.store.codec import Undecodable, decode, encode
from tests.support.builders import a_dataset, a_dimension, a_measure, an_agreement, an_epoch
from tests.support.ledgers import a_job_record


@pytest.mark.parametrize(
    ("kind", "value"), [(Epoch, an_epoch()), (Agreement, an_agreement()), (JobRecord, a_job_record())]
)
def test_a_stored_value_reads_back_equal(kind, value):
    assert decode(kind, encode(value)) == value


def test_every_part_of_an_epoch_survives():
    mixed = Recode("code", (("A", (1, "1", 1.0, True)), ("B", (2**60,))), missing="B")
    dataset = a_dataset(
        columns=(a_dimension(expression=mixed, parent="country"), a_measure(decimals=2, bounds=(0.25, 10)))
    )
    facts = Facts(3, 2, 2, {"income": MeasureFacts(-(2**70), 2**70, 2**80)}, {("region", "country"): {"N": "X"}})
    epoch = replace(an_epoch(dataset), facts=facts)
    epoch = replace(epoch, view=replace(epoch.view, key=KeyTable("keys")))
    read = decode(Epoch, encode(epoch))
    assert read == epoch
    values = read.dataset.columns[0].expression.codes[0][1]
    assert [type(value) for value in values] == [int, str, float, bool]


@pytest.mark.parametrize("text", ["", "7", "[]", '"Agreement"', "{", encode(an_epoch())])
def test_text_of_something_else_is_refused(text):
    with pytest.raises(Undecodable):
        decode(Agreement, text)


def test_bytes_that_are_not_base64_are_refused():
    with pytest.raises(Undecodable):
        decode(JobRecord, encode(a_job_record()).replace('"document":"', '"document":"!'))


def test_equal_values_have_equal_text_whatever_the_order_of_their_mappings():
    agreement = an_agreement()
    (grant,) = agreement.grants
    turned = replace(grant, uses=dict(reversed(grant.uses.items())))
    assert encode(replace(agreement, grants=(turned,))) == encode(agreement)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_their_exact_value(value):
    measure = a_measure(minimum=value)
    assert decode(type(measure), encode(measure)).minimum == value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_cannot_be_stored(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(a_measure(minimum=value))


def test_a_value_without_a_stored_form_is_refused():
    with pytest.raises(TypeError, match="set"):
        encode({1, 2})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"version":1', '"version":1,"surprise":2'),
        ('"version":1', '"version":"1"'),
        ('"version":1', '"version":true'),
        ('"state":"ACTIVE",', ""),
        ('"state":"ACTIVE"', '"state":"DORMANT"'),
        ('"$type":"Agreement"', '"$type":"Grant"'),
        ('"GROUP"', '"GUESS"'),
        ('"purpose":', '"purpose"'),
    ],
)
def test_text_that_is_not_exactly_the_type_is_refused(old, new):
    text = encode(an_agreement())
    assert old in text
    with pytest.raises(Undecodable):
        decode(Agreement, text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"$type":"Recode"', '"$type":"Evaluate"'),
        ('"key":{"$type":"KeyColumn","name":"record_key"}', '"key":3'),
        ('["N",["N"]]', '["N"]'),
    ],
)
def test_an_unknown_member_of_a_union_is_refused(old, new):
    text = encode(an_epoch())
    assert old in text
    with pytest.raises(Undecodable):
        decode(Epoch, text.replace(old, new))


@dataclass(frozen=True)
class Earlier:
    name: str


@dataclass(frozen=True)
class Later:
    name: str
    added: int = 7


def test_a_field_that_an_earlier_release_did_not_know_takes_its_default():
    assert decode(Later, encode(Earlier("x")).replace("Earlier", "Later")) == Later("x", 7)

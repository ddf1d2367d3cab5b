"""What the coordinator can and cannot read, and that no mask serves twice."""

import hashlib

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from bandung.gateway.domain import fixed_point
from bandung.gateway.domain.errors import Refusal
from bandung.gateway.training.masks import MaskKeys, Round, mask
from bandung.gateway.training.newton import NewtonSums

JOB = hashlib.sha256(b"job").hexdigest()
MEMBERS = ("BGD", "IDN", "PHL")
SCHEMA = ("information[a,a]", "score[a]", "fit", "records", "units")


def keys(members=MEMBERS):
    private = {m: X25519PrivateKey.from_private_bytes(hashlib.sha256(m.encode()).digest()) for m in members}
    public = {m: key.public_key().public_bytes_raw() for m, key in private.items()}
    return {m: MaskKeys(m, private[m].private_bytes_raw(), public) for m in members}


def sums(value=1.0, fit=-0.5):
    return NewtonSums(np.array([[value]]), np.array([-value]), fit, 7, 5, np.ones(7))


def elements(vector):
    return fixed_point.from_bytes(vector.values.astype("<u8").tobytes())


def added(*vectors):
    return fixed_point.decode(sum(column) % fixed_point.MODULUS for column in zip(*map(elements, vectors), strict=True))


def masked(member, number=1, cohort=MEMBERS, value=1.0):
    return mask(sums(value), SCHEMA, Round(JOB, number, cohort), keys()[member])


def test_the_masks_of_a_whole_cohort_vanish_exactly():
    values = [1.5, 1e-9, -3e20]
    total = added(*(masked(m, value=v) for m, v in zip(MEMBERS, values, strict=True)))
    assert total[0] == sum(values)
    assert total[3:] == [21.0, 15.0]


@pytest.mark.parametrize("known", [("BGD",), ("BGD", "IDN"), ("IDN", "PHL")])
def test_fewer_countries_than_the_cohort_add_up_to_noise(known):
    total = added(*(masked(m) for m in known))
    assert all(abs(value) > 1e9 for value in total)


def test_the_attack_reads_the_sums_where_there_are_no_masks():
    bare = fixed_point.encode(sums(1234.5).vector().tolist())
    assert fixed_point.decode(bare)[0] == 1234.5


def test_one_masked_vector_looks_uniform():
    bits = np.unpackbits(np.concatenate([masked("IDN", n, value=0.0).values for n in range(1, 200)]).view(np.uint8))
    assert abs(bits.mean() - 0.5) < 3 / len(bits) ** 0.5


@pytest.mark.parametrize(
    "other",
    [
        Round(JOB, 2, MEMBERS),
        Round(hashlib.sha256(b"other").hexdigest(), 1, MEMBERS),
        Round(JOB, 1, ("BGD", "IDN")),
    ],
    ids=["round", "job", "cohort"],
)
def test_another_round_job_or_cohort_has_another_mask(other):
    mine = keys()["IDN"]
    one, two = (elements(mask(sums(), SCHEMA, turn, mine)) for turn in (Round(JOB, 1, MEMBERS), other))
    # The difference of two vectors under one mask would be small.
    assert all(abs(fixed_point.decode([(a - b) % fixed_point.MODULUS])[0]) > 1e9 for a, b in zip(one, two, strict=True))


def test_the_same_round_has_the_same_mask_which_is_why_the_desk_answers_it_once():
    first, second = elements(masked("IDN", value=5.0)), elements(masked("IDN"))
    difference = [(a - b) % fixed_point.MODULUS for a, b in zip(first, second, strict=True)]
    assert fixed_point.decode(difference)[0] == 4.0


@pytest.mark.parametrize("cohort", [("IDN",), ("BGD", "PHL"), ("IDN", "USA")])
def test_a_cohort_that_hides_nothing_gets_nothing(cohort):
    with pytest.raises(Refusal, match="B306"):
        masked("IDN", cohort=cohort)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2.0**127 / 3])
def test_sums_that_could_wrap_around_are_refused_rather_than_sent(value):
    with pytest.raises(Refusal, match="B401"):
        masked("IDN", value=value)


def test_the_private_key_is_not_shown():
    assert keys()["IDN"].private.hex() not in repr(keys()["IDN"])
    assert repr(keys()["IDN"].private) not in repr(keys()["IDN"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1e36, 1e36), min_size=1, max_size=5))
def test_fixed_point_adds_what_floating_point_says(values):
    total = fixed_point.decode([sum(fixed_point.encode(values)) % fixed_point.MODULUS])[0]
    assert total == pytest.approx(float(sum(map(_exact, values))), rel=1e-15, abs=len(values) * 2.0**-64)


def _exact(value):
    from fractions import Fraction

    return Fraction(value)

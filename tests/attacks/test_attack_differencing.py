"""Differencing: ask for a group, then for the group without one person, and subtract.

The difference of two true counts is the person. Here the two groups have different fingerprints, so their noises are
independent and the difference of the answers says little; a group that is too small is not answered at all. The
control takes the noise away as far as the policy can: V = 0.01, D = 1.
"""

from __future__ import annotations

from typing import Any

from bandung.gateway.domain.policy import TableBuilder
from tests.support.builders import a_dataset, an_epoch
from tests.support.protection import release_of, rows_of

SQL = "SELECT COUNT(*) FROM persons WHERE region = 'N'"
TRIALS = 60
QUIET = TableBuilder(noise_max=1, noise_variance=0.01, noise_js=0)


def group(size: int) -> Any:
    return rows_of(
        [{"unit": f"u{i}", "region": "N", "sex": "F", "age_group": "15-29", "income": 1} for i in range(size)]
    )


def differences(policy: TableBuilder) -> list[int]:
    """What subtracting the answers without the victim from those with it gives, over many datasets' keys."""
    epoch, with_victim, without = an_epoch(a_dataset(policy=policy)), group(50), group(49)

    def count(rows: Any, key: bytes) -> int:
        return release_of(SQL, epoch, rows, key).table["count"][0].as_py()

    keys = [bytes([i]) * 32 for i in range(TRIALS)]
    return [count(with_victim, key) - count(without, key) for key in keys]


def test_the_difference_of_two_answers_does_not_show_one_person() -> None:
    found = differences(TableBuilder())
    assert len(set(found)) > 4
    assert found.count(1) < TRIALS / 2


def test_a_difference_may_not_be_asked_for_directly() -> None:
    release = release_of("SELECT sex, COUNT(*) FROM persons GROUP BY sex", an_epoch(), group(50))
    assert release.table["count"].to_pylist()[1] is None


def test_control_without_noise_the_difference_is_the_person() -> None:
    assert differences(QUIET).count(1) > TRIALS * 0.9

"""What the policies do not promise stands in the trust model, in the words that the attacks use."""

from pathlib import Path

import pytest

from tests.support.attacking import CANNOT_PROMISE

TEXT = " ".join((Path(__file__).parents[2] / "docs" / "trust-model.md").read_text().split())


@pytest.mark.parametrize(
    ("policy", "what"), [(policy, what) for policy in CANNOT_PROMISE for what in CANNOT_PROMISE[policy]]
)
def test_the_trust_model_says_what_a_policy_cannot_promise(policy: str, what: str) -> None:
    assert CANNOT_PROMISE[policy][what] in TEXT

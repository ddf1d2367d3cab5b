"""What the policies do not promise stands in the trust model, in the words that the attacks use."""

from pathlib import Path

import pytest

from tests.support.attacking import CANNOT_PROMISE

TEXT = " ".join((Path(__file__).parents[2] / "docs" / "trust-model.md").read_text().split())


@pytest.mark.parametrize("what", CANNOT_PROMISE)
def test_the_trust_model_says_what_table_builder_cannot_promise(what: str) -> None:
    assert CANNOT_PROMISE[what] in TEXT

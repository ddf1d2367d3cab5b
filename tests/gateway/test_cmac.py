"""AES-CMAC over many messages gives what the standard and a well-known library give for each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given, settings
from hypothesis import strategies as st

from bandung.gateway.disclosure.cmac import Cmac

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)


def of_library(key: bytes, message: bytes) -> bytes:
    cmac = CMAC(AES(key))
    cmac.update(message)
    return cmac.finalize()


@pytest.mark.parametrize(
    ("length", "tag"),
    [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ],
)
def test_the_examples_of_rfc_4493_come_out(length: int, tag: str):
    (found,) = Cmac(KEY).tags(pa.array([MESSAGE[:length]], pa.binary()))
    assert found.tobytes().hex() == tag


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.lists(st.binary(max_size=70), min_size=1, max_size=40))
def test_messages_of_any_lengths_at_once_give_what_each_gives_alone(key: bytes, messages: list[bytes]):
    found = Cmac(key).tags(pa.array(messages, pa.binary()))
    assert [tag.tobytes() for tag in found] == [of_library(key, message) for message in messages]


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(0, 3), st.integers(1, 20))
def test_a_prefix_that_messages_share_is_a_part_of_each(key: bytes, prefix_blocks: int, messages: int):
    prefix = bytes(range(16 * prefix_blocks))
    blocks = np.arange(16 * messages, dtype=np.uint8).reshape(messages, 16)
    found = Cmac(key).tags_after(prefix, blocks)
    assert [tag.tobytes() for tag in found] == [of_library(key, prefix + block.tobytes()) for block in blocks]


def test_a_part_of_a_longer_column_is_read_where_it_begins():
    ids = pa.array(["a", "bb", "ccc" * 9, "d"])
    assert (Cmac(KEY).tags(ids.slice(1, 2)) == Cmac(KEY).tags(pa.array(["bb", "ccc" * 9]))).all()

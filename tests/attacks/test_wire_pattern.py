"""A catalogue pattern that keeps the whole gateway busy.

How the attack works: Flight SQL's metadata commands take LIKE patterns. Translated to a regular expression, each `%`
becomes `.*`, and a few dozen of them before a character that does not fit make the engine try every way to share the
text out among them: hours for a short name. Python's engine lets no other thread run meanwhile, so one analyst's
harmless-looking `GetTables` stops every other call, deadlines and shutdown included.
"""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow.flight as fl
import pytest

from bandung.gateway.server.sql_metadata import _like
from tests.support.clients import a_command, a_flight_client
from tests.support.gateway import a_gateway


def test_a_pattern_of_many_wildcards_is_answered_like_any_other(tmp_path: Path):
    with a_gateway(tmp_path) as gateway:
        gateway.publish()
        gateway.agree()
        client = a_flight_client(gateway.address, gateway.idn.ca, gateway.identity("analyst/ani"))
        pattern = "%" * 400 + "x"
        command = a_command("CommandGetTables", table_name_filter_pattern=pattern)
        began = time.monotonic()
        ticket = client.get_flight_info(fl.FlightDescriptor.for_command(command)).endpoints[0].ticket
        assert client.do_get(ticket).read_all().num_rows == 0
        assert time.monotonic() - began < 5
        client.close()


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("", "farms", True),
        ("%", "", True),
        ("%", "farms", True),
        ("_", "", False),
        ("farms", "farms", True),
        ("farm", "farms", False),
        ("farmss", "farms", False),
        ("f%s", "farms", True),
        ("f%m_", "farms", True),
        ("%a%", "farms", True),
        ("%z%", "farms", False),
        ("_____", "farms", True),
        ("____", "farms", False),
        ("%_%_%_%_%_%", "farms", True),
        ("%_%_%_%_%_%_", "farms", False),
        ("f.rms", "farms", False),
        ("%s%s", "farms", False),
        ("%ss", "sss", True),
    ],
)
def test_a_pattern_means_what_sql_says(pattern: str, text: str, fits: bool):
    assert _like(pattern, text) is fits

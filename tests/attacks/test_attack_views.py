"""Views: ask the same records through other columns, for another noise, another budget or a group that the base hides.

Many systems protect what a query names, not the records under it, so a second name for the same rows starts afresh
(Adam, Wortmann, ACM Computing Surveys 21(4), 1989, on conceptual models; Haeberlen, Pierce, Narayan, USENIX Security
2011). The views here give a town's villages other names, and its ages two bands instead of three: only the elder is in
the upper one, so what a view shows and its base does not would be the elder.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandung.gateway.cli.agreement_file import everything
from bandung.gateway.domain.declaration_view import parse_view
from bandung.gateway.service.publish_view import PublishView
from bandung.gateway.store.system import SystemClock, SystemRandomness
from tests.support import town
from tests.support.attacking import CONTROL_MIN, POLICIES, WEAKENED, Analysts, Ground, advantage
from tests.support.gateway import OPERATOR
from tests.support.pki import real_now

CAPS = {
    "table-builder": {"tables_per_analyst": 4},
    "differential-privacy": {"rho_per_table": 0.001, "rho_per_analyst": 0.004},
}
SEVERAL = 4
"""Tables that the caps allow an analyst."""
BAND = {"code": "below", "values": ["0-39", "40-79"]}
COLUMNS: dict[str, Any] = {
    "place": {"role": "dimension", "source": "village", "codes": [{"code": name} for name in town.NAMES]},
    "band": {"role": "dimension", "source": "age_group", "codes": [BAND, {"code": "80+"}]},
    "earned": {"role": "measure", "source": "income"},
}


def a_view_of(ground: Ground, base: str, number: int) -> str:
    """Publish a view and agree to it; its columns are those of the base by other names."""
    name = f"{base}_view_{number}"
    gateway = ground.gateway
    document = {
        "dataset": {"name": name, "title": name, "description": "The town by other names."},
        "view": {"of": base},
        "columns": COLUMNS,
    }
    epoch, _ = PublishView(gateway.catalogue, SystemClock(), SystemRandomness())(parse_view(document), OPERATOR)
    after = real_now().replace(year=real_now().year + 1, month=1, day=1)
    principals = (gateway.idn.uri("analyst/*"),)
    agreement = everything(name.replace("_", "-"), "attacks", principals, [epoch.dataset], after)
    gateway.desk.put(OPERATOR, agreement, "tests", "ab" * 16)
    return name


def test_a_view_is_charged_to_its_base(ground: Ground, policy: str) -> None:
    base = ground.publish(f"charged {policy}", town.rows, town.COLUMNS, {**POLICIES[policy], **CAPS[policy]})
    views = [a_view_of(ground, base, number) for number in range(2)]
    dewi = Analysts(ground.gateway, ["dewi"])
    texts = [f"SELECT COUNT(*) FROM {views[i % 2]} WHERE place = '{town.NAMES[i]}'" for i in range(2 * SEVERAL)]
    heard = [dewi.ask(text) for text in texts]
    assert [answer.code for answer in heard] == [""] * SEVERAL + ["B303"] * SEVERAL
    assert dewi.ask(f"SELECT COUNT(*) FROM {base}").code == "B303"
    dewi.close()


def guessed(analysts: Analysts, base: str, views: list[str]) -> np.ndarray:
    """There is an elder where the mean count of the base and its views is nearer to one person more."""
    counts = [analysts.numbers(f"SELECT village, COUNT(*) FROM {base} GROUP BY village")]
    counts += [analysts.numbers(f"SELECT place, COUNT(*) FROM {view} GROUP BY place") for view in views]
    return np.array([np.mean([count[v] for count in counts if v in count]) for v in town.NAMES]) >= KNOWN + 0.5


KNOWN = town.VILLAGERS + 1


def test_views_average_no_noise_away(ground: Ground, policy: str) -> None:
    table = ground.publish(f"views {policy}", town.rows, town.COLUMNS, POLICIES[policy])
    views = [a_view_of(ground, table, number) for number in range(6)]
    one, many = (guessed(ground.analysts(2), table, of) for of in ([], views))
    if policy == "table-builder":
        assert (one == many).all()
    else:
        assert advantage(many, town.ELDERS) <= ground.most(policy, table, town.ELDERS)


def test_a_measure_by_another_name_has_the_noise_of_its_base(ground: Ground) -> None:
    table = ground.publish("views table-builder", town.rows, town.COLUMNS, POLICIES["table-builder"])
    view = a_view_of(ground, table, 9)
    analysts = ground.analysts(1)
    by_base = analysts.numbers(f"SELECT village, SUM(income) FROM {table} GROUP BY village")
    by_view = analysts.numbers(f"SELECT place, SUM(earned) FROM {view} GROUP BY place")
    assert by_base == by_view
    assert len(by_base) == town.VILLAGES


def test_control_through_views_without_noise_the_elder_is_seen(ground: Ground, policy: str) -> None:
    table = ground.publish(f"views {policy} weakened", town.rows, town.COLUMNS, WEAKENED[policy])
    views = [a_view_of(ground, table, 0)]
    assert advantage(guessed(ground.analysts(1), table, views), town.ELDERS) >= CONTROL_MIN

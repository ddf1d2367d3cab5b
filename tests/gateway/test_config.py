"""Settings are closed, explained, and wrong ones are all named at once."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from bandung.gateway.config import GatewayConfig, load_config, render_toml, validated
from bandung.gateway.domain.errors import ErrorKind, Refusal

MINIMAL = """
[member]
id = "IDN"
country = "IDN"
trust_domain = "idn.bandung.example"
[network]
listen = "0.0.0.0:8815"
public_address = "gateway.example:8815"
"""


def read(tmp_path: Path, text: str) -> GatewayConfig:
    (tmp_path / "gateway.toml").write_text(text)
    return load_config(tmp_path / "gateway.toml")


def test_only_who_and_where_must_be_said(tmp_path):
    config = read(tmp_path, MINIMAL)
    assert config.member.id == "IDN"
    assert config.limits.request_bytes_max == 1024 * 1024


def test_every_problem_is_named_at_once(tmp_path):
    text = (
        MINIMAL.replace('"IDN"', '"indonesia"') + '[limits]\ndeadline_s_max = 0\nsurprise = 1\n[log]\nlevel = "loud"\n'
    )
    with pytest.raises(Refusal) as refused:
        read(tmp_path, text)
    assert refused.value.kind is ErrorKind.BAD_CONFIGURATION
    for name in ("member.id", "member.country", "limits.deadline_s_max", "limits.surprise", "log.level"):
        assert name in refused.value.message


@pytest.mark.parametrize("text", ["= nonsense", "", "\xff"])
def test_a_file_that_is_no_configuration_is_refused_and_not_a_crash(tmp_path, text):
    (tmp_path / "gateway.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(Refusal):
        load_config(tmp_path / "gateway.toml")


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(Refusal, match=r"gateway\.toml"):
        load_config(tmp_path / "gateway.toml")


def test_a_number_in_quotes_is_not_a_number(tmp_path):
    with pytest.raises(Refusal, match="threads_max"):
        read(tmp_path, MINIMAL + '[limits]\nthreads_max = "8"\n')


def test_what_is_rendered_is_read_back_unchanged(tmp_path):
    config = read(tmp_path, MINIMAL)
    assert read(tmp_path, render_toml(config)) == config


def settings() -> dict[str, str]:
    found: dict[str, str] = {}
    for section, field in GatewayConfig.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        found |= {f"{section}.{name}": setting.description or "" for name, setting in model.model_fields.items()}
    return found


def test_every_setting_is_explained_and_numbers_have_a_unit_in_the_name_or_count_calls():
    assert all(settings().values())
    example = validated(
        {
            "member": {"id": "IDN", "country": "IDN", "trust_domain": "idn.example"},
            "network": {"listen": "0.0.0.0:1", "public_address": "a:1"},
        },
        GatewayConfig,
        "test",
    )
    units = ("_bytes_max", "_s_max", "_s", "_mib_max", "threads_max", "calls_per_principal_max")
    for _, section in example:
        for name, value in section:
            assert not isinstance(value, int) or name.endswith(units), name


def test_every_setting_has_its_place_in_the_documentation():
    text = Path("docs/configuration.md").read_text("utf-8")
    assert [name for name in settings() if f"`{name.partition('.')[2]}`" not in text] == []

"""Settings: which source wins, and what bad ones are told."""

from pathlib import Path
from typing import Any

import pytest

from spotkube import settings as module
from spotkube.model.cluster import Mode
from spotkube.model.policy import CHEAPEST, Pick, Policy
from spotkube.settings import Settings, SettingsError, load_settings, misspelt_variables, reference_markdown

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SPOTKUBE_{name.upper()}", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


def test_flags_beat_the_environment_and_that_beats_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("cycle_seconds: 1\nseed: 1\nplan_history: 1\n")
    monkeypatch.setenv("SPOTKUBE_SEED", "2")
    monkeypatch.setenv("SPOTKUBE_PLAN_HISTORY", "2")
    loaded = load_settings(file, {"plan_history": 3, "mode_override": "Recommend"})
    assert (loaded.cycle_seconds, loaded.seed, loaded.plan_history) == (1, 2, 3)
    assert loaded.mode_override is Mode.RECOMMEND


def test_flags_that_were_not_given_change_nothing(file: Path) -> None:
    file.write_text("seed: 7")
    assert load_settings(file, {"seed": None, "leader_election": None}).seed == 7
    assert load_settings(file, {"leader_election": False}).leader_election is False


def test_empty_sources_give_the_defaults(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("# nothing\n")
    monkeypatch.setenv("SPOTKUBE_CONTEXT", "")
    assert load_settings(file) == load_settings() == Settings()


def test_the_namespace_is_the_pods_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SERVICE_ACCOUNT_NAMESPACE", tmp_path / "namespace")
    assert load_settings().namespace == "spotkube-system"
    (tmp_path / "namespace").write_text("elsewhere\n")
    assert load_settings().namespace == "elsewhere"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cycle_second: 5", r"cycle_second \(file .*settings.yaml\) is no setting: did you mean cycle_seconds\?"),
        ("frobnicate: 5", r"frobnicate .* is no setting: known are kubeconfig, context"),
        ("cycle_seconds: ten", r"cycle_seconds \(file .*\) is 'ten' but should be a valid number.* Default: 10\."),
        ("cycle_seconds: 0", r"cycle_seconds .* is 0 but should be greater than 0"),
        ("mode_override: apply", r"mode_override .* is 'apply' but should be 'Apply', 'Recommend' or 'Paused'"),
        ("provider_url: localhost:90", r"provider_url .* is 'localhost:90' but .* `http://127.0.0.1:9090`"),
        ("policy: safe", r"policy .* is 'safe' but should be 'cheapest', 'balanced' or 'safest'"),
        ("policy_within_percent: -1", r"policy_within_percent .* is -1 but should be greater than or equal to 0"),
        ("policy_exchange_rate_usd: .nan", r"policy_exchange_rate_usd .* is nan but should be"),
        ("- a\n- b", r"must hold `name: value` lines"),
        ("a: [", r"is not YAML"),
        ("batch_idle_seconds: 6", r"batch_idle_seconds \(6\) must not be above batch_max_seconds \(3\)"),
        (
            "lease_duration_seconds: 10",
            r"lease_duration_seconds \(10\) must be above lease_renew_deadline_seconds \(10\)",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place_its_value_and_a_remedy(file: Path, content: str, message: str) -> None:
    file.write_text(content)
    with pytest.raises(SettingsError, match=message):
        load_settings(file)


def test_all_that_is_wrong_is_told_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("seeed: 1\n")
    monkeypatch.setenv("SPOTKUBE_PLAN_HISTORY", "none")
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {"log_level": "loud"})
    lines = sorted(str(caught.value).splitlines())
    assert [line.split(" is ")[0] for line in lines] == [
        "log_level (flag)",
        "plan_history (environment)",
        f"seeed (file {file})",
    ]


def test_a_file_that_is_not_there_is_told(file: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load_settings(file)


@pytest.mark.parametrize("name", ["SPOTKUBE_CYCLE_SECOND", "SPOTKUBE_LOGLEVEL"])
def test_variables_that_are_misspelt_are_noticed(name: str) -> None:
    known = {"SPOTKUBE_SEED": "1", "SPOTKUBE_SERVICE_HOST": "10.0.0.1", "SPOTKUBE_PORT_8080_TCP": "tcp", "HOME": "/"}
    assert set(misspelt_variables({**known, name: "1"})) == {name}


@pytest.mark.parametrize("values", [{"seed": 1}])
def test_settings_do_not_change(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings(overrides=values).seed = 2  # type: ignore[misc]


def test_the_reference_is_up_to_date() -> None:
    remedy = "run `python -m spotkube.settings > docs/reference/configuration.md`"
    assert (ROOT / "docs/reference/configuration.md").read_text() == reference_markdown(), remedy


def test_the_policy_in_force(file: Path) -> None:
    file.write_text("policy: safest\npolicy_within_percent: 12.5\npolicy_max_pods_lost_together: 40\n")
    expected = Policy(Pick.SAFEST, within_percent=12.5, max_pods_lost_together=40.0)
    assert load_settings(file).plan_policy == expected
    file.write_text("")
    assert load_settings(file).plan_policy == CHEAPEST

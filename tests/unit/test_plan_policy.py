"""`spotkube plan --policy`, with a history of interruptions and with policies that nobody can satisfy."""

from __future__ import annotations

import json

import pytest

from unit.test_plan_command import PODS, POOL, Command, spotkube_plan

__all__ = ["spotkube_plan"]  # the fixture

CATALOG = """
region: here
types:
- instanceType: m.large
  arch: amd64
  cpu: 2
  memory: 8Gi
  pods: 20
  allocatable: {cpu: 2, memory: 8Gi}
  offerings:
  - {zone: here-a, capacityType: on-demand, priceUSDPerHour: 0.09}
  - {zone: here-a, capacityType: spot, priceUSDPerHour: 0.030, interruptionPercent: 5}
  - {zone: here-b, capacityType: spot, priceUSDPerHour: 0.031, interruptionPercent: 5}
  - {zone: here-c, capacityType: spot, priceUSDPerHour: 0.032, interruptionPercent: 5}
"""
HISTORY = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: spotkube-interruptions}
data:
  history.json: '%s'
"""
WANTED = PODS % "2" + POOL % "Apply"


@pytest.fixture
def plan(spotkube_plan: Command) -> Command:
    spotkube_plan.catalog.write_text(CATALOG)
    return spotkube_plan


def zones(stdout: str) -> list[str]:
    return sorted(node["zone"] for node in json.loads(stdout)["nodes"])


def test_the_cheapest_by_default_and_the_safest_when_asked(plan: Command) -> None:
    cheap = plan("-f", "-", "-o", "json", stdin=WANTED)
    safe = plan("-f", "-", "-o", "json", "--policy", "safest", "--within-percent", "10", stdin=WANTED)
    assert (zones(cheap.stdout), zones(safe.stdout)) == (["here-a"] * 3, ["here-a", "here-b", "here-c"])
    (taken,) = [point for point in json.loads(safe.stdout)["alternatives"] if point["chosen"]]
    assert (taken["podsLostTogether"], taken["usdPerHour"]) == (1.0, 0.093)
    assert json.loads(safe.stdout)["policy"] == "safest within 10 % of the cheapest"
    assert [one["share"] for one in json.loads(safe.stdout)["concentrations"]] == [0.3333]
    assert [one["share"] for one in json.loads(cheap.stdout)["concentrations"]] == [1.0]


def test_balanced_weighs_pods_in_dollars(plan: Command) -> None:
    for usd, expected in (("0.0001", ["here-a"] * 3), ("0.01", ["here-a", "here-b", "here-c"])):
        outcome = plan("-f", "-", "-o", "json", "--policy", "balanced", "--exchange-rate-usd", usd, stdin=WANTED)
        assert zones(outcome.stdout) == expected


def test_the_table_tells_of_the_alternatives_and_of_what_is_lost_together(plan: Command) -> None:
    stdout = plan("-f", "-", stdin=WANTED).stdout
    for words in (
        "Alternatives",
        "PODS LOST TOGETHER",
        "lost together",
        "pods in the worst 5 %",
        "largest share",
        "100%",
    ):
        assert words in stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--policy", "safest", "--within-percent", "-1"], ["--within-percent is -1", "usdPerHour blocks"]),
        (["--policy", "safest", "--within-percent", "nan"], ["--within-percent is nan"]),
        (["--exchange-rate-usd", "-0.5"], ["--exchange-rate-usd is -0.5"]),
        (["--max-pods-lost-together", "-2"], ["--max-pods-lost-together is -2"]),
        (
            ["--policy", "safest", "--within-percent", "1", "--max-pods-lost-together", "1"],
            ["podsLostTogether blocks", "loses 3.0 together", "costs 3.3 % more"],
        ),
    ],
)
def test_a_policy_that_nobody_can_satisfy(plan: Command, arguments: list[str], words: list[str]) -> None:
    outcome = plan("-f", "-", *arguments, stdin=WANTED)
    assert (outcome.code, outcome.stdout) == (1, "")
    for word in words:
        assert word in outcome.stderr


def test_a_history_in_the_files_counts(plan: Command) -> None:
    entry = '{"version":1,"pools":{"m.large/here-a":{"hours":5000,"nodes":60,"interruptions":50}}}'
    rates = []
    for stdin in (WANTED, WANTED + HISTORY % entry):
        outcome = plan("-f", "-", "-o", "json", stdin=stdin)
        (taken,) = [point for point in json.loads(outcome.stdout)["alternatives"] if point["chosen"]]
        rates.append(taken["interruptionsPerMonth"])
    assert rates[1] > 20 * rates[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ('{"version":1,"pools":{"m.large/here-a":{"hours":-3,"nodes":1,"interruptions":0}}}', "hours is -3"),
        ('{"version":1,"pools":{"z.odd/here-a":{"hours":3,"nodes":1,"interruptions":0}}}', "z.odd here-a is left out"),
    ],
)
def test_a_history_that_lies_is_noted_and_the_band_counts(plan: Command, text: str, words: str) -> None:
    honest = json.loads(plan("-f", "-", "-o", "json", stdin=WANTED).stdout)
    outcome = plan("-f", "-", "-o", "json", stdin=WANTED + HISTORY % text)
    lying = json.loads(outcome.stdout)
    assert outcome.code == 0
    assert lying["alternatives"] == honest["alternatives"]
    assert any(words in note for note in lying["notes"])

"""`spotkube plan` as its users see it: what it prints where, and what it exits with."""

import io
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from spotkube import cli
from spotkube.commands.durations import parse_seconds

DATA = Path(__file__).parent.parent / "data" / "manifests"
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
  - {zone: here-a, capacityType: spot, priceUSDPerHour: 0.03, interruptionPercent: 5}
"""
PODS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  template: {spec: {containers: [{name: main, resources: {requests: {cpu: "%s"}}}]}}
"""
POOL = """
---
apiVersion: spotkube.io/v1alpha1
kind: NodePool
metadata: {name: mine}
spec: {mode: %s, spot: {allowUnmanagedPods: true}}
"""


class Outcome(NamedTuple):
    code: int
    stdout: str
    stderr: str


class Command:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.catalog = folder / "catalog.yaml"
        self.catalog.write_text(CATALOG)

    def __call__(self, *arguments: str, stdin: str = "") -> Outcome:
        given = ("spotkube", "plan", "--catalog", str(self.catalog), "--budget", "300ms", *arguments)
        self._monkeypatch.setattr("sys.argv", list(given))
        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        assert isinstance(code, int)
        return Outcome(code, *self._capsys.readouterr())


@pytest.fixture
def spotkube_plan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    return Command(monkeypatch, capsys, tmp_path)


def test_all_placed(spotkube_plan: Command) -> None:
    outcome = spotkube_plan("-f", "-", stdin=PODS % "1")
    assert outcome.code == 0
    assert outcome.stderr == ""
    for words in (
        "Nodes to buy",
        "m.large",
        "holds 2 x default/web",
        "$0.1800",
        "lower bound",
        "a pool over the whole",
    ):
        assert words in outcome.stdout


def test_what_has_no_place_is_told_with_its_reason(spotkube_plan: Command) -> None:
    outcome = spotkube_plan("-f", "-", stdin=PODS % "64")
    assert outcome.code == 2
    assert "Pods without a place" in outcome.stdout
    assert "too small in cpu (asked 64, at most 2)" in outcome.stdout


def test_json_has_every_node_and_pod(spotkube_plan: Command) -> None:
    outcome = spotkube_plan("-f", "-", "-o", "json", "--seed", "7", stdin=PODS % "1")
    plan = json.loads(outcome.stdout)
    assert (plan["version"], plan["seed"]) == (1, 7)
    assert set(plan) == {
        "version", "seed", "totals", "nodes", "drains", "moves", "held", "placements", "unplaceable", "landing",
        "policy", "alternatives", "concentrations", "work", "notes", "errors", "replay",
    }  # fmt: skip
    assert plan["totals"] == {
        "costNowUSDPerHour": 0.0,
        "costAfterUSDPerHour": 0.18,
        "lowerBoundUSDPerHour": plan["totals"]["lowerBoundUSDPerHour"],
        "gapPercent": plan["totals"]["gapPercent"],
        "firstFitUSDPerHour": 0.18,
        "allOnDemandUSDPerHour": 0.18,
        "nodesToBuy": 2,
        "placedPods": 3,
        "unplaceablePods": 0,
        "unmetPreferencesPods": 0,
    }
    assert 0.13 <= plan["totals"]["lowerBoundUSDPerHour"] <= 0.18
    assert sorted(pod for node in plan["nodes"] for pod in node["pods"]) == [f"default/web-{n}" for n in (1, 2, 3)]
    assert {node["capacityType"] for node in plan["nodes"]} == {"on-demand"}


def test_json_says_what_would_place_pods_and_what_else_was_for_sale(spotkube_plan: Command) -> None:
    plan = json.loads(spotkube_plan("-f", "-", "-o", "json", stdin=PODS % "64").stdout)
    (one,) = plan["unplaceable"]
    assert one["changes"] == [
        {
            "kind": "Pod",
            "object": "default/web",
            "field": "spec.containers[].resources.requests[cpu]",
            "from": "64",
            "to": "2",
            "words": "lower the cpu request of default/web from 64 to 2",
        }
    ]
    assert {"constraint": "cpu request 64", "offerings": one["offerings"]} in one["exclusions"]
    assert "constraints" not in plan
    (node, *_) = json.loads(spotkube_plan("-f", "-", "-o", "json", stdin=PODS % "1").stdout)["nodes"]
    assert node["offerings"] >= 1
    assert all(set(other) == {"nodePool", "instanceType", "zone", "capacityType", "moreUSDPerHour"}
               for other in node["alternatives"])  # fmt: skip


def test_explain_tells_what_rules_cost(spotkube_plan: Command) -> None:
    outcome = spotkube_plan("-f", "-", "--explain", stdin=PODS % "1")
    assert outcome.code == 0
    assert "What rules cost" in outcome.stdout
    assert "NodePool default: pods of no Workload never on spot" in outcome.stdout
    told = json.loads(spotkube_plan("-f", "-", "--explain", "-o", "json", stdin=PODS % "1").stdout)["constraints"]
    assert told["tried"] == 1
    (cost,) = told["costs"]
    assert cost["usdPerHour"] > 0
    assert cost["without"]["field"] == "spec.spot.allowUnmanagedPods"


def test_yaml_says_the_same_as_json(spotkube_plan: Command) -> None:
    arguments = ("-f", "-", "--seed", "3")
    as_json = json.loads(spotkube_plan(*arguments, "-o", "json", stdin=PODS % "1").stdout)
    as_yaml = yaml.safe_load(spotkube_plan(*arguments, "-o", "yaml", stdin=PODS % "1").stdout)
    assert as_yaml["nodes"] == as_json["nodes"]


@pytest.mark.parametrize("mode", ["Apply", "Recommend"])
def test_pools_of_all_modes_plan_under_their_own_rules(spotkube_plan: Command, mode: str) -> None:
    plan = json.loads(spotkube_plan("-f", "-", "-o", "json", stdin=(PODS % "1") + POOL % mode).stdout)
    assert {(node["nodePool"], node["capacityType"]) for node in plan["nodes"]} == {("mine", "spot")}
    assert plan["notes"] == []


def test_a_paused_pool_and_one_of_another_mode_buy_nothing(spotkube_plan: Command) -> None:
    paused = spotkube_plan("-f", "-", stdin=(PODS % "1") + POOL % "Paused")
    assert paused.code == 2
    assert "paused and not planned for: NodePool mine" in paused.stdout
    assert spotkube_plan("-f", "-", "--mode", "Recommend", stdin=(PODS % "1") + POOL % "Apply").code == 2


def test_real_manifests_are_planned_whole(spotkube_plan: Command) -> None:
    spotkube_plan.catalog.write_text(CATALOG.replace("cpu: 2\n", "cpu: 16\n").replace("{cpu: 2,", "{cpu: 16,")
                                     .replace("memory: 8Gi", "memory: 64Gi"))  # fmt: skip
    outcome = spotkube_plan("-f", str(DATA / "bookshop.yaml"), "-o", "json")
    plan = json.loads(outcome.stdout)
    pods = Counter(pod.rsplit("-", 1)[0] for node in plan["nodes"] for pod in node["pods"])
    assert outcome.code == 0
    assert pods["bookshop/storefront"] == 6
    assert pods.total() == 16
    assert all(sum("orders-db" in pod for pod in node["pods"]) <= 1 for node in plan["nodes"])


def test_files_may_follow_without_the_option(spotkube_plan: Command, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.yml").write_text((PODS % "1").replace("web", name))
    outcome = spotkube_plan("-o", "json", "-f", str(tmp_path / "a.yml"), str(tmp_path / "b.yml"))
    assert json.loads(outcome.stdout)["totals"]["placedPods"] == 6


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        ((), "", "error: -f: no manifests given"),
        (("-f", "-"), "", "error: -: no Kubernetes object in there"),
        (("-f", "none.yaml"), "", "error: none.yaml: there is no such file"),
        (("-f", "-"), "kind: [", "error: standard input: is neither YAML nor JSON"),
        (("-f", "-"), PODS % "1x", "containers[0].resources.requests: cpu: '1x' is no quantity"),
        (("-f", "-", "--budget", "5"), PODS % "1", "error: --budget: '5' is no time above zero; write it as in 500ms"),
        (("-f", "-", "--catalog", "none.yaml"), PODS % "1", "check the path of --catalog"),
        (("--seed", "x"), "", "--seed"),
        (("--nope",), "", "--nope"),
        (("-o", "xml"), "", "xml"),
    ],
)
def test_bad_input_exits_with_1_and_prints_nothing_on_stdout(
    spotkube_plan: Command, arguments: tuple[str, ...], stdin: str, words: str
) -> None:
    outcome = spotkube_plan(*arguments, stdin=stdin)
    assert outcome.code == 1
    assert outcome.stdout == ""
    assert words in outcome.stderr


def test_the_rest_is_planned_beside_what_cannot_be_used(spotkube_plan: Command) -> None:
    bad = (PODS % "1x").replace("web", "bad")
    outcome = spotkube_plan("-f", "-", "-o", "json", stdin=f"{PODS % '1'}\n---\n{bad}")
    assert outcome.code == 1
    plan = json.loads(outcome.stdout)
    assert plan["totals"]["placedPods"] == 3
    [error] = plan["errors"]
    assert "cpu: '1x' is no quantity" in error
    assert error in outcome.stderr
    assert "The plan is one for the rest" in outcome.stderr


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("5s", 5), ("1m", 60), ("1.5s", 1.5)])
def test_budgets(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["5", "0s", "-1s", "5h", "s", "", "5 s"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="write it as in 500ms, 5s or 1m"):
        parse_seconds(text)

"""What the demo prints: the line of the moment, the nodes with their reasons, the closing table."""

from __future__ import annotations

import io

import pytest
from demo_builders import addition, claim, plan, pod, scene, service
from rich.console import Console, RenderableType

from demo.closing import Outcome, closing_table
from demo.errors import DemoError
from demo.show import Screen, additions_table, scene_line
from spotkube.api.capacityplan import Addition

NUMBERS = {
    "costAfterUSDPerHour": 4.64, "lowerBoundUSDPerHour": 4.28, "gapPercent": 8.4, "additions": [addition("a")],
    "baselines": {"firstFitUSDPerHour": 5.1, "allOnDemandUSDPerHour": 13.92},
}  # fmt: skip


def printed(what: RenderableType, columns: int = 110) -> str:
    paper = io.StringIO()
    Console(file=paper, width=columns).print(what)
    return paper.getvalue()


def test_the_line_tells_pods_nodes_price_bound_and_gap() -> None:
    seen = scene(
        pods=(pod("a", "n"), pod("b", phase="Pending"), pod("c", "n", "Succeeded")),
        claims=(claim("n"), claim("m", phase="Launched")),
        plans=(plan("p", **NUMBERS | {"costAfterUSDPerHour": 0.2, "lowerBoundUSDPerHour": 0.184}),),
    )
    assert scene_line(seen) == (
        "pods 1 running of 3, 1 finished · nodes 1 Launched, 1 Ready · $0.200/h · bound $0.184/h, gap 8.4%"
    )


def test_the_bound_of_a_plan_is_not_held_against_the_cost_of_other_nodes() -> None:
    seen = scene(pods=(pod("a", "n"),), claims=(claim("n"),), plans=(plan("p", **NUMBERS),))
    assert scene_line(seen).endswith("nodes 1 Ready · $0.100/h")


def test_before_anything_is_bought_there_is_no_bound() -> None:
    assert scene_line(scene(pods=(pod("a", phase="Pending"),))) == "pods 0 running of 1 · nodes none yet · $0.000/h"


def test_the_dearest_nodes_are_shown_with_reasons_and_the_others_summed_up() -> None:
    nodes = [
        Addition.model_validate(addition(f"n{i}", pods=2, price=float(i), reason=f"reason {i}")) for i in range(1, 5)
    ]
    text = printed(additions_table(nodes, top=2))
    assert "reason 4" in text and "reason 3" in text and "reason 2" not in text
    assert "3.0000" in text and "2 more" in text and "2 spot" in text


def test_a_long_reason_does_not_squeeze_the_other_columns() -> None:
    node = Addition.model_validate(addition("n", reason="because " * 60))
    lines = printed(additions_table([node])).splitlines()
    assert len(lines) == 2
    assert "m7g.large" in lines[1] and "us-east-1a" in lines[1]


def test_the_closing_table_compares_with_simpler_ways() -> None:
    outcome = Outcome.of(scene(pods=(pod("a", "n"),), claims=(claim("n"),), plans=(plan("p", **NUMBERS),)))
    text = printed(closing_table(outcome))
    for expected in ("$4.6400", "$4.2800", "8.40%", "+9.9%", "+200.0%", "0 on-demand, 1 spot"):
        assert expected in text


def test_a_way_that_can_not_place_all_pods_has_no_price() -> None:
    numbers = NUMBERS | {"baselines": {}}
    outcome = Outcome.of(scene(pods=(pod("a", "n"),), claims=(claim("n"),), plans=(plan("p", **numbers),)))
    assert "can't place all pods" in printed(closing_table(outcome))


@pytest.mark.parametrize(
    ("spot", "on_spot", "kept"),
    [
        ({"never": True}, 0, True),
        ({"never": True}, 1, False),
        ({"onDemandBase": 1}, 3, True),
        ({"onDemandBase": 1}, 4, False),
        ({"onDemandBase": 9}, 0, True),
        ({"spotFraction": 0.6}, 2, True),
        ({"spotFraction": 0.6}, 3, False),
        ({}, 4, True),
    ],
)
def test_the_closing_table_says_whether_the_spot_rules_hold(spot: dict[str, object], on_spot: int, kept: bool) -> None:
    cart = service("cart", spot, replicas=4, readyReplicas=4, spotReplicas=on_spot)
    outcome = Outcome.of(
        scene(pods=(pod("a", "n"),), claims=(claim("n"),), plans=(plan("p", **NUMBERS),), workloads=(cart,))
    )
    assert outcome.on_too_much_spot == (() if kept else ("cart",))
    assert ("BROKEN" in printed(closing_table(outcome))) is not kept


def test_without_a_plan_there_is_no_outcome() -> None:
    with pytest.raises(DemoError, match="CapacityPlan"):
        Outcome.of(scene(pods=(pod("a", "n"),)))


def test_on_paper_a_line_is_said_only_when_it_changed() -> None:
    paper = io.StringIO()
    screen = Screen(Console(file=paper))
    seen = scene(pods=(pod("a", "n"),))
    with screen.progress() as progress:
        progress.update(seen)
        progress.update(seen)
    assert paper.getvalue().count("pods 1 running of 1") == 1


def test_on_paper_too_a_slow_step_is_announced_before_it_begins() -> None:
    paper = io.StringIO()
    screen = Screen(Console(file=paper))
    with screen.step("compiling", slow=True):
        assert "compiling …" in paper.getvalue()
    with screen.step("starting"):
        assert "starting" not in paper.getvalue()
    assert "starting (0.0 s)" in paper.getvalue()

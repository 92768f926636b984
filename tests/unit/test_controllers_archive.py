"""What plans were made from, kept beside them: in a ConfigMap, in a folder, or not, with the reason on the plan."""

from __future__ import annotations

import base64
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders import make_offering, make_pods, make_snapshot
from controller_builders import UNAVAILABLE, World
from spotkube.api import CapacityPlan
from spotkube.api.capacityplan import KeptSnapshot
from spotkube.cluster.resources import CONFIGMAPS
from spotkube.controllers.archive import KIB, UID_BYTES, Archive, Shelf
from spotkube.controllers.carrying import Carrier
from spotkube.controllers.plans import Decision
from spotkube.convert.snapshots import KEY, Record, from_bytes, to_bytes, to_record
from spotkube.model.cluster import Mode
from spotkube.model.plan import Plan, PlannedNode
from spotkube.planning import LEAST_SECONDS

NAMESPACE = "spotkube-system"
OFFERING = make_offering("m.large", 0.1)
PODS = make_pods(3)
PLAN = Plan((PlannedNode("pool", OFFERING, tuple(pod.uid for pod in PODS), "it is there"),), placed_pods=3)
RECORD = to_record(make_snapshot(PODS, [OFFERING]), Mode.APPLY, 7, 5.0, PLAN)


async def kept(world: World, shelf: Shelf, record: Record = RECORD) -> KeptSnapshot:
    """What the plan says of its snapshot, once it was carried out."""
    world.add_pool()
    archive = Archive(world.tools, shelf)
    carrier = Carrier(world.tools, world.placement, 3, archive)
    decision = Decision(Mode.APPLY, 7, "three pods wait", PLAN, 0.1, record=record)
    await carrier.carry_out(decision, await world.look())
    await archive.settled()
    snapshot = CapacityPlan.from_dict(world.plans[-1]).status.snapshot
    assert snapshot is not None
    return snapshot


def config_maps(world: World) -> list[dict[str, Any]]:
    return world.kube.all(CONFIGMAPS)


async def test_it_is_in_a_config_map_that_goes_when_the_plan_goes() -> None:
    world = World()
    found = await kept(world, Shelf(NAMESPACE))

    ((plan,), (config_map,)) = world.plans, config_maps(world)
    content = base64.b64decode(config_map["binaryData"][KEY])
    assert from_bytes(content) == RECORD
    assert (found.config_map, found.namespace) == (config_map["metadata"]["name"], NAMESPACE)
    assert (found.bytes, found.plan_digest, found.message) == (len(content), RECORD.plan, None)
    (owner,) = config_map["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "spotkube.io/v1alpha1",
        "kind": "CapacityPlan",
        "name": plan["metadata"]["name"],
        "uid": plan["metadata"]["uid"],
    }
    assert config_map["metadata"]["labels"] == {"spotkube.io/capacityplan": plan["metadata"]["name"]}


async def test_nothing_waits_for_it_and_the_plan_loses_nothing() -> None:
    world = World()
    world.kube.refuse["create configmaps"] = UNAVAILABLE
    found = await kept(world, Shelf(NAMESPACE))

    assert len(world.claims) == 1
    assert found.config_map is None and "etcd is away" in str(found.message)
    (plan,) = world.plans
    assert {c["type"]: c["status"] for c in plan["status"]["conditions"]}["Applied"] == "True"
    assert plan["status"]["additions"][0]["claim"] == world.claim.name


async def test_one_that_is_too_large_is_told_of() -> None:
    many = replace(RECORD, snapshot=replace(RECORD.snapshot, pods=tuple(make_pods(KIB // UID_BYTES + 1))))
    sure = await kept(world := World(), Shelf(NAMESPACE, most_kib=1), many)
    assert (sure.config_map, sure.bytes, config_maps(world)) == (None, None, [])
    assert "with 65 pods it is larger and snapshot_max_kib is 1; set snapshot_folder" in str(sure.message)


async def test_it_can_be_turned_off() -> None:
    found = await kept(world := World(), Shelf(NAMESPACE, most_kib=0))
    assert config_maps(world) == []
    assert "snapshot_max_kib is 0" in str(found.message)


async def test_files_take_any_size_and_the_oldest_go(tmp_path: Path) -> None:
    world = World()
    names = []
    for _ in range(3):
        world.clock.now += 1
        found = await kept(world, Shelf(NAMESPACE, 0, tmp_path / "new", files=2))
        names.append(Path(str(found.file)))
    assert sorted((tmp_path / "new").iterdir()) == names[1:]
    assert from_bytes(names[-1].read_bytes()) == RECORD


async def test_a_folder_that_cannot_be_written_does_not_keep_the_config_map_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = await kept(World(), Shelf(NAMESPACE, folder=tmp_path / "file"))
    assert found.config_map is not None and found.file is None
    assert "snapshot_folder" in str(found.message) and "File exists" in str(found.message)


async def test_without_the_lease_nothing_is_written() -> None:
    world = World()
    world.add_pool()
    archive = Archive(world.tools, Shelf(NAMESPACE))
    world.leading = False
    archive.keep("apply-1", "uid", RECORD)
    await archive.settled()
    assert config_maps(world) == [] and world.kube.writes == []


async def test_a_decision_carries_what_it_was_made_from() -> None:
    world = World()
    world.add_pool()
    world.add_pod()
    await world.cycle()
    decision = world.planning.take(await world.look())
    assert decision is not None and decision.record is not None
    assert [pod.name for pod in decision.record.snapshot.pods] == ["web-1"]
    assert (decision.record.mode, decision.record.seconds) == (Mode.APPLY, LEAST_SECONDS)


@pytest.mark.parametrize("size", [1, 0])
async def test_the_limit_itself_is_allowed(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spotkube.controllers.archive.to_bytes", lambda _: b"x" * (KIB + 1 - size))
    found = await kept(World(), Shelf(NAMESPACE, most_kib=1))
    assert (found.config_map is not None) == bool(size)
    assert size or str(found.message).startswith("it has 2 KiB and snapshot_max_kib is 1")


async def test_claims_are_written_while_it_is_still_being_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    bought = threading.Event()

    def slow(record: Record) -> bytes:
        assert bought.wait(30), "the claims waited for the snapshot"
        return to_bytes(record)

    monkeypatch.setattr("spotkube.controllers.archive.to_bytes", slow)
    world = World()
    world.add_pool()
    archive = Archive(world.tools, Shelf(NAMESPACE))
    carrier = Carrier(world.tools, world.placement, 3, archive)
    await carrier.carry_out(Decision(Mode.APPLY, 7, "", PLAN, 0.1, record=RECORD), await world.look())
    assert (len(world.claims), config_maps(world)) == (1, [])
    bought.set()
    await archive.settled()
    assert len(config_maps(world)) == 1

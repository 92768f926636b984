"""What nobody owns is ended, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller_builders import CLOUD_AWAY, UNAVAILABLE, World
from spotkube.cluster.resources import NODECLAIMS, NODES
from spotkube.controllers.garbage import ORPHAN_SECONDS
from spotkube.controllers.toolbox import NotLeading
from spotkube.model import labels as keys
from spotkube.providers.port import InstanceState


async def orphaned(world: World) -> str:
    """An instance with a Node, whose claim vanished with its finalizer."""
    name = await world.up_and_running()
    world.kube.drop(NODECLAIMS, name)
    world.kube.change(NODES, name, {"metadata": {"finalizers": [keys.TERMINATION_FINALIZER, "x/y"]}})
    return name


async def test_an_instance_without_a_claim_is_ended_after_a_while() -> None:
    world = World()
    name = await orphaned(world)
    world.clock.now += ORPHAN_SECONDS

    await world.controllers.garbage.collect(await world.look())

    assert world.cloud.ended == [f"i-{name}"]


async def test_a_young_one_is_not() -> None:
    world = World()
    await orphaned(world)
    world.clock.now = next(iter(world.cloud.instances.values())).launched_at + ORPHAN_SECONDS

    await world.controllers.garbage.collect(await world.look())

    assert world.cloud.ended == []


async def test_nor_one_whose_claim_only_the_cache_misses() -> None:
    world = World()
    await world.up_and_running()
    world.clock.now += 3600
    view = await world.look()

    await world.controllers.garbage.collect(replace(view, claims={}))

    assert world.cloud.ended == []


async def test_a_claim_of_the_same_name_that_came_later_does_not_own_it() -> None:
    world = World()
    name = await world.up_and_running()
    world.kube.change(NODECLAIMS, name, {"metadata": {"uid": "another"}})
    world.clock.now += 3600

    await world.controllers.garbage.collect(await world.look())

    assert world.cloud.ended == [f"i-{name}"]


async def test_a_node_goes_when_its_instance_is_gone_and_keeps_the_finalizers_of_others() -> None:
    world = World()
    name = await orphaned(world)
    await world.controllers.garbage.collect(await world.look())
    assert "deletionTimestamp" not in world.node(name)["metadata"]

    world.cloud.become(f"i-{name}", InstanceState.TERMINATED)
    await world.controllers.garbage.collect(await world.look())

    assert world.node(name)["metadata"]["finalizers"] == ["x/y"]
    assert "deletionTimestamp" in world.node(name)["metadata"]


async def test_nothing_is_concluded_from_a_cloud_that_does_not_answer() -> None:
    world = World()
    await orphaned(world)
    world.clock.now += 3600
    world.cloud.error = CLOUD_AWAY

    await world.controllers.garbage.collect(await world.look())

    assert world.kube.writes == []


async def test_nodes_of_others_are_none_of_our_business() -> None:
    world = World()
    world.kube.put(NODES, {"metadata": {"name": "theirs", "labels": {}}, "spec": {}, "status": {}})

    await world.controllers.garbage.collect(await world.look())

    assert world.kube.writes == []


@pytest.mark.parametrize("line", ["patch nodes", "delete nodes"])
async def test_what_fails_is_tried_again(line: str) -> None:
    world = World()
    name = await orphaned(world)
    world.cloud.become(f"i-{name}", InstanceState.TERMINATED)
    world.kube.refuse[line] = UNAVAILABLE
    await world.controllers.garbage.collect(await world.look())
    world.kube.refuse.clear()

    await world.controllers.garbage.collect(await world.look())

    assert "deletionTimestamp" in world.node(name)["metadata"]


async def test_a_cloud_that_refuses_does_not_end_the_sweep() -> None:
    world = World()
    await orphaned(world)
    world.clock.now += 3600
    view = await world.look()
    world.cloud.error = CLOUD_AWAY

    await world.controllers.garbage.collect(view)

    assert world.cloud.ended == []


async def test_only_the_leader_ends_anything() -> None:
    world = World()
    await orphaned(world)
    world.clock.now += 3600
    view = await world.look()
    world.leading = False

    with pytest.raises(NotLeading):
        await world.controllers.garbage.collect(view)
    assert world.cloud.ended == []


async def test_a_node_that_has_the_name_by_now_is_not_removed_in_its_stead() -> None:
    world = World()
    name = await orphaned(world)
    world.cloud.instances.clear()
    view = await world.look()
    world.kube.change(NODES, name, {"metadata": {"uid": "another"}})

    await world.controllers.garbage.collect(view)

    assert world.node(name)["metadata"]["finalizers"] == [keys.TERMINATION_FINALIZER, "x/y"]

"""Claims that a cycle need not look at: only those in force, and only until something about them differs."""

from __future__ import annotations

from dataclasses import replace

from controller_builders import World
from spotkube.controllers.claims.deciding import next_step
from spotkube.controllers.claims.settled import SettledClaims
from spotkube.controllers.claims.steps import Wait
from spotkube.controllers.view import View


async def at_rest() -> tuple[World, SettledClaims]:
    """One claim, which was looked at."""
    world, settled = World(), SettledClaims()
    await world.up_and_running()
    await world.cycles(2)
    view = await world.look()
    assert looked_at(settled, view) == 1
    settled.looked_at(view.claims[world.claim.name], Wait(), view)
    return world, settled


def looked_at(settled: SettledClaims, view: View) -> int:
    return len(settled.others(view))


async def test_who_is_settled_stays_so_as_long_as_it_is_the_same() -> None:
    world, settled = await at_rest()

    assert looked_at(settled, await world.observer.look()) == 0
    world.clock.now += 1e6
    assert looked_at(settled, await world.observer.look()) == 0


async def test_what_time_may_bring_is_looked_at() -> None:
    world, settled = World(), SettledClaims()
    await world.up_and_running()
    await world.cycles(2)
    view = await world.look()
    assert looked_at(settled, view) == 1

    settled.looked_at(view.claims[world.claim.name], Wait("its Node is not seen"), view)

    assert looked_at(settled, view) == 1


async def test_a_sign_on_the_node_is_looked_at() -> None:
    world, settled = await at_rest()
    world.notice(world.claim.name)

    assert looked_at(settled, await world.look()) == 1


async def test_so_is_a_pod_that_came_or_went() -> None:
    world, settled = await at_rest()
    world.add_pod("web-2", node=world.claim.name)

    assert looked_at(settled, await world.look()) == 1


async def test_so_is_an_instance_that_ended_or_is_not_known() -> None:
    world, settled = await at_rest()
    view = await world.observer.look()

    assert looked_at(settled, replace(view, instances=None)) == 1
    assert looked_at(settled, replace(view, instances={})) == 1


async def test_and_all_where_pools_differ() -> None:
    world, settled = await at_rest()
    view = await world.observer.look()
    pools = tuple(replace(pool, deleting=True) for pool in view.snapshot.pools)

    assert looked_at(settled, replace(view, snapshot=replace(view.snapshot, pools=pools))) == 1


async def test_the_controller_looks_at_none_of_many_in_force_and_still_finds_a_notice() -> None:
    world = World()
    name = await world.up_and_running()
    await world.cycles(2)
    claim = world.claim
    view = await world.observer.look()
    assert next_step(claim, world.controllers.claims._facts(claim, view)) == Wait()
    assert world.controllers.claims._unsettled(view) == []

    world.notice(name, world.clock.now + 120)
    await world.cycle()

    assert world.claim.status.notice is not None

"""What the queue sees of its jobs is what it would see at a first look, whatever changed in between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_support import make_job
from spotkube.cluster.events import ObjectRef
from spotkube.controllers.queues import seeing
from spotkube.controllers.queues.kinds import Kind, Member, Terms
from spotkube.controllers.queues.seeing import Lookout, Sight
from spotkube.controllers.view import View
from spotkube.model.queued import PodGroup
from spotkube.model.resources import ResourceList
from spotkube.queueing.jobclasses import JobClass
from spotkube.queueing.seen import Phase, Seen

CLASS = JobClass("shop", "job", "image", "command", ResourceList({}))
ADMITS = [{"batch": frozenset({"shop"})}, {"batch": frozenset({"shop", "lab"})}, {}]


class Shelf:
    """A kind whose members are put there by hand."""

    def __init__(self) -> None:
        self.there: Sequence[Member] = ()

    def members(self, view: View, terms: Terms) -> Iterable[Member]:
        return self.there

    def set_aside(self, ended: Iterable[Member]) -> None:
        """They stay on the shelf, as ended pods do."""


def make_member(number: int, namespace: str, phase: Phase, group: str, unheld: bool) -> Member:
    """Two numbers in a row are one job of two objects, as pods in one place are."""
    seen = Seen(make_job(uid=f"job-{number // 2}"), CLASS, phase)
    about = ObjectRef("v1", "Pod", f"m-{number}", f"uid-{number}", namespace)
    named = PodGroup(group, 2) if group else None
    return Member(cast("Kind", None), about, seen, named, unheld)


MEMBERS = st.builds(
    make_member,
    st.integers(0, 7),
    st.sampled_from(["shop", "lab"]),
    st.sampled_from(list(Phase)),
    st.sampled_from(["", "", "g"]),
    st.booleans(),
)
Change = tuple[list[Member], set[int], dict[str, frozenset[str]]]
CHANGES = st.tuples(st.lists(MEMBERS, max_size=4), st.sets(st.integers(0, 7), max_size=3), st.sampled_from(ADMITS))


def shown(sight: Sight, hidden: set[int]) -> Any:
    """All that it says, but for single jobs that were seen to have ended before."""
    members = {uid: by_uid(one for one in some if id(one) not in hidden) for uid, some in sight.members.items()}
    return (
        {uid: some for uid, some in members.items() if some},
        {(one.member.uid, one.reason, one.words) for one in sight.refused},
        by_uid(sight.unheld),
        by_uid(one for one in sight.over if id(one) not in hidden),
    )


def by_uid(members: Iterable[Member]) -> dict[str, Member]:
    return {one.uid: one for one in members}


@given(st.lists(CHANGES, max_size=6))
def test_a_look_is_that_of_a_fresh_start(changes: list[Change]) -> None:
    shelf, there = Shelf(), dict[str, Member]()
    lookout, nothing = Lookout([cast("Kind", shelf)]), cast("Any", None)
    hidden, admitted = set[int](), ADMITS[0]
    for came, went, admits in changes:
        there |= {one.uid: one for one in came}
        there = {uid: one for uid, one in there.items() if int(uid.removeprefix("uid-")) not in went}
        shelf.there = list(there.values())
        hidden &= set(map(id, shelf.there)) if admits == admitted else set()
        admitted = admits

        sight = lookout.look(nothing, admits, nothing)
        fresh = Lookout([cast("Kind", shelf)]).look(nothing, admits, nothing)

        assert shown(sight, hidden) == shown(fresh, hidden)
        ended = [uid for uid, some in fresh.members.items() if all(id(one) in hidden for one in some)]
        jobs = {one.job.uid: one for one in sight.jobs}
        if not hidden:
            assert jobs == {one.job.uid: one for one in fresh.jobs}
        assert set(ended).isdisjoint(jobs)
        lookout.settled(sight)
        hidden |= {id(one) for one in sight.over}


def test_a_look_that_fails_half_way_loses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, nothing = Shelf(), cast("Any", None)
    shelf.there = [make_member(number, "shop", Phase.WAITING, "", False) for number in (0, 2, 4)]
    lookout = Lookout([cast("Kind", shelf)])

    def fails_at_the_second(members: Sequence[Member]) -> Seen:
        if members[0].uid == "uid-2":
            raise ValueError("whatever it may be")
        return members[0].seen

    with monkeypatch.context() as patched:
        patched.setattr(seeing, "single_of", fails_at_the_second)
        with pytest.raises(ValueError, match="whatever"):
            lookout.look(nothing, ADMITS[0], nothing)

    sight = lookout.look(nothing, ADMITS[0], nothing)
    assert {uid: len(some) for uid, some in sight.members.items()} == {"job-0": 1, "job-1": 1, "job-2": 1}

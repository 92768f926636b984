"""What is kept from one cycle to the next is what would be made anew, whatever changed in between."""

from __future__ import annotations

import pickle
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from builders import make_claim, make_node, make_offering, make_pod, make_snapshot
from spotkube.model.cluster import ClaimPhase, Snapshot
from spotkube.model.kept import Kept, KeptByName
from spotkube.parcels import Receiver, Sender
from spotkube.planner.formulation.bins import KeptBins, make_bins
from spotkube.planner.formulation.waiting import unsettled

OFFERING = make_offering("m.large", 0.1)
# Objects that snapshots share, some of them equal to one another and yet others.
PLACES: list[dict[str, str]] = [{}, {"node": "a"}, {"node": "b"}, {"nominated": "c"}]
PODS = [make_pod(f"p{i}", **place) for i in range(3) for place in PLACES]
NODES = [
    make_node(name, claim=claim, ready=ready) for name in "ab" for claim in (None, name) for ready in (True, False)
]
CLAIMS = [make_claim(name, OFFERING, phase=phase) for name in "abc" for phase in (ClaimPhase.PENDING, ClaimPhase.READY)]


def one_each(objects: list, key: str = "name"):  # type: ignore[no-untyped-def, type-arg]
    return st.lists(st.sampled_from(objects), unique_by=lambda one: getattr(one, key)).map(tuple)


SNAPSHOTS = st.builds(
    lambda pods, nodes, claims, offerings, at: replace(
        make_snapshot(pods, offerings), nodes=nodes, claims=claims, taken_at=at
    ),
    one_each(PODS, "uid"),
    one_each(NODES),
    one_each(CLAIMS),
    st.sampled_from([[], [OFFERING], [OFFERING, make_offering("m.small", 0.05)]]),
    st.floats(0, 1e9),
)


@given(st.lists(SNAPSHOTS, max_size=6))
def test_bins_are_those_of_a_fresh_start(snapshots: list[Snapshot]) -> None:
    kept = KeptBins()
    for snapshot in snapshots:
        assert make_bins(snapshot, kept) == make_bins(snapshot)
        assert unsettled(snapshot, kept) == unsettled(snapshot)


@given(st.lists(SNAPSHOTS, max_size=6))
def test_what_is_unpacked_is_what_was_packed(snapshots: list[Snapshot]) -> None:
    sender, receiver = Sender(), Receiver()
    for snapshot in snapshots:
        received = receiver.unpack(pickle.loads(pickle.dumps(sender.pack(snapshot))))
        assert (received, received.spot_history) == (snapshot, snapshot.spot_history)


def test_what_is_there_already_is_not_sent_again() -> None:
    sender = Sender()
    first = make_snapshot([make_pod(f"p{i}") for i in range(500)], [OFFERING])
    sender.pack(first)

    parcel = sender.pack(replace(first, pods=(*first.pods[1:], new := make_pod("new"))))

    sent = {name: [one for _, one in bundle.news] for name, bundle in parcel.bundles}
    assert sent["pods"] == [new]
    assert not any(found for name, found in sent.items() if name != "pods")


def test_a_value_is_made_once_for_each_object_that_is_there() -> None:
    made = []

    def make(one: list[int]) -> int:
        made.append(one)
        return len(made)

    kept, first, same = Kept(make), [1], [1]
    assert kept.of_all([first, same]) == [1, 2]
    assert kept.of_all([same, first]) == [2, 1]
    assert kept.of_all([first]) == [1]
    assert kept.of_all([first, same]) == [1, 3]


def test_a_named_value_is_made_anew_for_other_parts_or_after_a_turn_without_it() -> None:
    kept, part = KeptByName[int](), object()
    values = iter(range(9))

    def of(*parts: object) -> int:
        return kept.of("n", parts, lambda: next(values))

    assert of(part) == 0
    kept.turn()
    assert of(part) == 0
    kept.turn()
    assert of(part, part) == 1
    kept.turn()
    kept.turn()
    assert of(part, part) == 2

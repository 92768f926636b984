"""Drains played in virtual time: whatever pods, budgets and restarts there are, nobody loses the time that he had."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from builders import make_node, make_pod, make_pool, taint
from fake_kube import rfc3339
from fake_provider import OFFERING
from spotkube.api import NodeClaim
from spotkube.controllers.claims import patches, steps
from spotkube.controllers.claims.deciding import next_step
from spotkube.controllers.claims.draining import How, PodAction, tier_of
from spotkube.controllers.claims.leaving import LATE_SECONDS
from spotkube.model.labels import DISRUPTED_TAINT, EXCLUDE_FROM_LOAD_BALANCERS
from spotkube.model.pods import Pod
from spotkube.model.termination import TerminationRule
from spotkube.providers.port import Instance, InstanceState

BEGIN = 1_800_000_000.0
MARGIN = 5.0
OPEN = make_node("n", claim="n")
CLOSED = replace(
    OPEN, unschedulable=True, taints=(taint(DISRUPTED_TAINT),), labels=((EXCLUDE_FROM_LOAD_BALANCERS, "true"),)
)
RULES = {
    "default/saves": TerminationRule(notice_annotation="example.com/save-before", notice_seconds=20),
    "default/slow": TerminationRule(grace_seconds=45),
    "default/surges": TerminationRule(surge=True),
}


@dataclass
class Resident:
    """A pod, and how it behaves: how long it takes to end, when its budget first lets it go, when its successor is
    ready (both in seconds from the beginning)."""

    pod: Pod
    takes: int
    allowed_from: int
    succeeded_from: int
    sigterm_at: float | None = None
    ends_at: float = 0.0

    @property
    def grace(self) -> int:
        return RULES.get(self.pod.workload or "", TerminationRule()).grace_seconds or max(1, self.pod.grace_seconds)


@dataclass
class Drain:
    """One node that leaves, looked at once a second. `down` are the seconds in which nobody acts; `killed` those in
    which the operator dies after so many actions."""

    residents: list[Resident]
    notice_seconds: int | None
    down: frozenset[int] = frozenset()
    killed: dict[int, int] = field(default_factory=dict)
    now: float = BEGIN
    closed: bool = False
    ended_at: float | None = None

    def __post_init__(self) -> None:
        self.claim = _leaving_claim(None if self.notice_seconds is None else self.deadline)

    @property
    def deadline(self) -> float:
        return BEGIN + (self.notice_seconds or 0)

    @property
    def second(self) -> int:
        return int(self.now - BEGIN)

    def play(self, seconds: int) -> None:
        while self.ended_at is None and self.second < seconds:
            self.residents = [one for one in self.residents if one.sigterm_at is None or self.now < one.ends_at]
            if self.second not in self.down:
                self._act()
            self.now += 1

    def _act(self) -> None:
        looked = False
        for _ in range(10):
            step = next_step(self.claim, self._facts(looked))
            match step:
                case steps.Cordon():
                    self.closed = True
                case steps.Advance():
                    self.claim = _with_status(self.claim, patches.advanced(self.claim, step, self.now))
                case steps.LookAgain():
                    looked = True
                case steps.Drain():
                    for action in step.actions[: self.killed.get(self.second)]:
                        self._ask(action)
                    return
                case steps.EndInstance():
                    self.ended_at = self.now
                    return
                case steps.Wait():
                    return
                case _:
                    raise AssertionError(step)

    def _facts(self, looked: bool) -> steps.Facts:
        later = {r.pod.uid for r in self.residents if r.pod.workload == "default/surges"}
        later -= {r.pod.uid for r in self.residents if r.succeeded_from <= self.second}
        return steps.Facts(
            now=self.now,
            pool=make_pool(),
            node=CLOSED if self.closed else OPEN,
            instance=Instance("i-1", "uid-n", "n", OFFERING.key, InstanceState.RUNNING, BEGIN),
            instances_known=True,
            pods=tuple(resident.pod for resident in self.residents),
            margin_seconds=MARGIN,
            rules=RULES,
            succeeded_later=frozenset(later),
            looked_again=looked,
        )

    def _ask(self, action: PodAction) -> None:
        assert self.closed
        assert action.grace_seconds is None or action.grace_seconds >= 1
        (resident,) = (one for one in self.residents if one.pod.uid == action.pod.uid)
        match action.how:
            case How.TELL:
                resident.pod = replace(resident.pod, told_deadline=self.deadline)
            case How.RELEASE:
                resident.pod = replace(resident.pod, labels=(("pod-template-hash", "leaving"),))
            case How.EVICT:
                others = [one.pod for one in self.residents if not one.pod.mirror]
                earlier = [pod for pod in others if tier_of(pod) < tier_of(resident.pod)]
                assert not any(pod for pod in earlier if self.notice_seconds is not None or not pod.daemon)
                if self.second >= resident.allowed_from:
                    self._end(resident, action.grace_seconds or resident.pod.grace_seconds)
            case How.FORCE:
                assert self.notice_seconds is not None
                assert self.now >= self.deadline - MARGIN - resident.grace, "a budget is broken too early"
                self._end(resident, action.grace_seconds or resident.pod.grace_seconds)

    def _end(self, resident: Resident, grace: int) -> None:
        resident.sigterm_at = self.now
        resident.ends_at = self.now + min(grace, resident.takes)
        resident.pod = replace(resident.pod, deleting=True, ends_at=self.now + grace)


def _leaving_claim(deadline: float | None) -> NodeClaim:
    times = {"kind": "SpotInterruption", "source": "test", "id": "1", "receivedAt": rfc3339(BEGIN)}
    notice = None if deadline is None else {**times, "deadline": rfc3339(deadline)}
    return NodeClaim.from_dict(
        {
            "metadata": {"name": "n", "uid": "uid-n", "deletionTimestamp": rfc3339(BEGIN)},
            "spec": {
                "nodePool": "pool",
                "instanceType": "m.large",
                "zone": "zone-a",
                "capacityType": "spot",
                "arch": "amd64",
                "priceUSDPerHour": 0.03,
                "allocatable": {"cpu": "2"},
            },
            "status": {"phase": "Ready", "notice": notice},
        }
    )


def _with_status(claim: NodeClaim, status: Any) -> NodeClaim:
    return claim.model_copy(update={"status": status})


@st.composite
def residents(draw: st.DrawFn) -> list[Resident]:
    found = []
    for number in range(draw(st.integers(0, 6))):
        made = make_pod(f"p{number}", node="n", daemon=draw(st.booleans()) and draw(st.booleans()))
        priority = draw(st.sampled_from([0, 0, 2_000_000_000]))
        workload = draw(st.sampled_from([None, None, *RULES])) if not made.daemon else None
        pod = replace(
            made,
            shape=replace(made.shape, priority=priority),
            workload=workload,
            grace_seconds=draw(st.sampled_from([0, 1, 5, 30, 30, 60, 600])),
            do_not_disrupt=draw(st.booleans()) and draw(st.booleans()),
            mirror=not made.daemon and draw(st.integers(0, 9)) == 0,
        )
        allowed, succeeded = (draw(st.sampled_from([0, 0, 7, 40, 10_000])) for _ in range(2))
        found.append(Resident(pod, draw(st.integers(0, 100)), allowed, succeeded))
    return found


SECONDS = st.integers(0, 130)
KILLED = st.dictionaries(SECONDS, st.integers(0, 3), max_size=6)


@given(residents(), st.integers(1, 130), st.lists(SECONDS, max_size=4).map(frozenset), KILLED)
@settings(max_examples=300, deadline=None)
def test_at_a_notice_each_pod_has_its_grace_or_all_that_remained(
    pods: list[Resident], notice: int, down: frozenset[int], killed: dict[int, int]
) -> None:
    drain = Drain(pods, notice, down, killed)
    lost = max(_lost_in_a_row(second, drain) for second in range(notice))
    assume(lost < MARGIN)
    everybody = [one for one in pods if not one.pod.mirror]

    drain.play(notice + 60)

    assert drain.ended_at is not None
    assert drain.ended_at <= drain.deadline + LATE_SECONDS + lost + 1
    for one in everybody:
        assert one.sigterm_at is not None, one
        assert drain.deadline - one.sigterm_at >= min(one.grace + MARGIN, notice) - lost, one


def _lost_in_a_row(second: int, drain: Drain) -> int:
    """How many seconds from this one on nobody acts, or not to the end."""
    count = 0
    while second + count in drain.down or second + count in drain.killed:
        count += 1
    return count


@given(residents(), KILLED)
@settings(max_examples=150, deadline=None)
def test_without_a_deadline_nothing_is_forced_and_it_ends_once_all_may_go(
    pods: list[Resident], killed: dict[int, int]
) -> None:
    drain = Drain(pods, None, killed=killed)
    staying = [one for one in pods if not (one.pod.daemon or one.pod.mirror)]

    drain.play(900)

    kept = [one for one in staying if one.pod.do_not_disrupt or one.allowed_from == 10_000]
    assert (drain.ended_at is None) == bool(kept)
    assert all(one.sigterm_at is None for one in pods if one.pod.daemon or one.pod.do_not_disrupt)
    if not kept:
        assert all(one.sigterm_at is not None for one in staying)


@given(residents(), st.integers(1, 130), SECONDS)
@settings(max_examples=100, deadline=None)
def test_what_is_done_does_not_depend_on_who_did_the_rest(pods: list[Resident], notice: int, second: int) -> None:
    """Nothing is remembered from one look to the next: asked twice in the same state, the answer is the same."""
    drain = Drain(pods, notice)
    drain.play(second)

    facts = drain._facts(looked=False)

    assert next_step(drain.claim, facts) == next_step(drain.claim.model_copy(deep=True), replace(facts))

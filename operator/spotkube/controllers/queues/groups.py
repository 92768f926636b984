"""Several objects that are one job: the Jobs and pods of a group are admitted, and taken back, together.

Letting a group go takes a patch for each member, and the operator may be killed between them. So what the cluster shows
is read thus: a group of which some members run, or ran when the last of the others came, was admitted, and the others
are to be let go; one of which all wait was not. Nothing else has to be remembered.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from spotkube.controllers.queues.kinds import Member
from spotkube.model.resources import ResourceList
from spotkube.queueing.checkpoints import Together
from spotkube.queueing.jobclasses import JobClass, owner_pattern
from spotkube.queueing.jobs import Job, PodSet
from spotkube.queueing.seen import Phase, Seen


@dataclass(frozen=True)
class Gang:
    """`seen` is None if nothing of the group stands in the queue; `members` are let go and taken back with it, and
    `refused` are not, which `words` explain with the remedy."""

    seen: Seen | None
    members: tuple[Member, ...] = ()
    refused: tuple[Member, ...] = ()
    words: str = ""


def gang_of(members: Sequence[Member], queues: frozenset[str]) -> Gang:
    """Members of one group in one namespace and queue, with all `queues` that members of that group name.

    Those that have ended need not be among them: only a group that was never begun has to be complete.
    """
    ordered = sorted(members, key=_order)
    going = [one for one in ordered if one.continues or one.phase in (Phase.RUNNING, Phase.LEAVING)]
    waiting = [one for one in ordered if one.phase is Phase.WAITING and not one.continues]
    ended = [one for one in ordered if one.seen.has_ended]
    if going:
        return _begun(going, waiting)
    if not waiting:
        last = _last_of(ended)
        return Gang(_seen(last, Phase.SUCCEEDED if _all_succeeded(last) else Phase.FAILED), tuple(ended))
    with_them = _ended_of(ended, waiting)
    if with_them and not any(one.seen.admitted_seconds for one in waiting):
        return _begun([], waiting, with_them)
    if words := _fault(waiting, queues):
        return Gang(None, (), tuple(waiting), words)
    missing = max(0, (_size(waiting) or 0) - _pods([*waiting, *with_them]))
    return Gang(_seen(waiting, Phase.WAITING, missing), tuple(waiting))


def _ended_of(ended: Sequence[Member], waiting: Sequence[Member]) -> list[Member]:
    """Those that have ended and are of the same group as these, and not of an earlier one of its name: they began or
    ended when these were there already, and are with them no more than the group has."""
    newest = waiting[-1].seen.job.submitted_seconds
    found = [
        one for one in ended if (one.seen.admitted_seconds or 0.0) >= newest or (one.seen.ended_seconds or 0.0) > newest
    ]
    return found if _pods([*found, *waiting]) <= (_size(waiting) or 0) else []


def _last_of(ended: Sequence[Member]) -> list[Member]:
    """The newest, as many as the group has: the others are of earlier groups of its name."""
    found, room = list[Member](), _size(ended[-1:]) or _pods(ended)
    for one in reversed(ended):
        room -= one.pods
        found += [one] if room >= 0 else []
    return found[::-1] or [*ended]


def single_of(members: Sequence[Member]) -> Seen:
    """A job of one object; or of pods that come one after the other in the same place, which is let go already if the
    last `continues` what the one before did."""
    if len(members) == 1 and not members[0].continues:
        return members[0].seen
    newest = max(members, key=_order)
    runs = any(one.continues or one.phase is Phase.RUNNING for one in members)
    leaves = any(one.phase is Phase.LEAVING for one in members)
    return replace(newest.seen, phase=Phase.RUNNING if runs else Phase.LEAVING if leaves else newest.phase)


def _begun(going: Sequence[Member], waiting: Sequence[Member], ended: Sequence[Member] = ()) -> Gang:
    """One that was admitted. As many of those that wait belong to it as it says to have pods."""
    begun = [*going, *ended]
    room = (_size(begun) or 0) - _pods(begun)
    late, refused = list[Member](), list[Member]()
    for one in waiting:
        fits = one.pods <= room
        (late if fits else refused).append(one)
        room -= one.pods if fits else 0
    words = (
        f"group {begun[0].group_name} runs already with as many pods as it has: wait until it, or a pod of it, has "
        "ended, or use another name"
    )
    active = [*going, *late]
    if not active:
        return Gang(None, (), tuple(refused), words)
    runs = ended or any(one.continues or one.phase is Phase.RUNNING for one in going)
    seen = _seen(active, Phase.RUNNING if runs else Phase.LEAVING)
    return Gang(seen, tuple(active), tuple(refused), words)


def _fault(waiting: Sequence[Member], queues: frozenset[str]) -> str:
    """What keeps a group from ever being complete, with the remedy; "" if nothing does."""
    mistake = next((one.group.mistake for one in waiting if one.group and one.group.mistake), "")
    if mistake:
        return mistake
    name = waiting[0].group_name
    if len(queues) > 1:
        return f"group {name} has members in queues {', '.join(sorted(queues))}: name the same queue on all of them"
    sizes = sorted({one.group.size for one in waiting if one.group and one.group.size})
    if len(sizes) > 1:
        return f"members of group {name} say that it has {' and '.join(map(str, sizes))} pods: say the same on all"
    there = _pods(waiting)
    if there > sizes[0]:
        return (
            f"group {name} is said to have {sizes[0]} pods, and {there} are there: correct the number, or delete some"
        )
    return ""


def _order(member: Member) -> tuple[float, str]:
    return member.seen.job.submitted_seconds, member.uid


def _size(members: Iterable[Member]) -> int | None:
    """Of what they say the least: nobody makes a group that runs larger by what newcomers say."""
    return min((one.group.size for one in members if one.group and one.group.size), default=None)


def _pods(members: Iterable[Member]) -> int:
    return sum(one.pods for one in members)


def _all_succeeded(ended: Iterable[Member]) -> bool:
    return all(one.phase is Phase.SUCCEEDED for one in ended)


def _seen(members: Sequence[Member], phase: Phase, missing: int = 0) -> Seen:
    first, each = members[0], [one.seen for one in members]
    job, name = first.seen.job, first.group_name
    declared = [one.declared_seconds for one in each if one.declared_seconds is not None]
    admitted = [one.admitted_seconds for one in each if one.admitted_seconds is not None]
    ran = [one.run_seconds for one in each if one.run_seconds is not None]
    ended = [one.ended_seconds for one in each if one.ended_seconds is not None]
    made = Job(
        uid=f"group/{first.namespace}/{first.queue}/{name}",
        name=f"Group {first.namespace}/{name}",
        queue=job.queue,
        tenant=job.tenant,
        pod_sets=_pod_sets([one.job for one in each], missing),
        submitted_seconds=min(one.job.submitted_seconds for one in each),
        priority=min(one.job.priority for one in each),
        price_usd_hour=_price([one.job for one in each], missing),
        gang=_pods(members) + missing > 1,
        missing_pods=missing,
        preemptible=all(one.job.preemptible for one in each),
    )
    requests = sum((_times(pods.requests, pods.count) for pods in made.pod_sets), ResourceList())
    return Seen(
        made,
        JobClass(
            first.namespace, owner_pattern(name), first.seen.job_class.image, first.seen.job_class.command, requests
        ),
        phase,
        declared_seconds=max(declared, default=None),
        admitted_seconds=min(admitted, default=None) if phase is not Phase.WAITING else None,
        run_seconds=max(ran) if len(ran) == len(each) else None,
        checkpoints=Together(tuple(one.checkpoints for one in each if one.phase is not Phase.WAITING)),
        ended_seconds=max(ended, default=None) if phase in (Phase.SUCCEEDED, Phase.FAILED) else None,
        ready=all(one.seen.ready and one.phase is not Phase.WAITING for one in members),
        default_seconds=max(one.default_seconds for one in each),
    )


def _pod_sets(jobs: Sequence[Job], missing: int) -> tuple[PodSet, ...]:
    """Pods with equal requests together; those that are still missing are taken to be like the first."""
    counts: Counter[ResourceList] = Counter({jobs[0].pod_sets[0].requests: missing})
    for job in jobs:
        for pods in job.pod_sets:
            counts[pods.requests] += pods.count
    ordered = sorted(counts.items(), key=lambda item: tuple(item[0].items()))
    return tuple(PodSet("main", count, requests) for requests, count in ordered if count)


def _price(jobs: Sequence[Job], missing: int) -> float | None:
    prices = [job.price_usd_hour for job in jobs]
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        return None
    return sum(known) + missing * known[0] / jobs[0].parallelism


def _times(requests: ResourceList, count: int) -> ResourceList:
    return ResourceList({name: amount * count for name, amount in requests.items()})

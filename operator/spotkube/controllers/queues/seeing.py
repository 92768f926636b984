"""From the cluster to what the queue sees: its jobs, where they are, and what they cost."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from spotkube.controllers.queues.capacity import Market
from spotkube.controllers.queues.groups import Gang, gang_of, single_of
from spotkube.controllers.queues.kinds import Kind, Member
from spotkube.controllers.view import View
from spotkube.model.resources import PODS
from spotkube.queueing.book import Phase, Seen
from spotkube.queueing.jobs import Job

_ONE_POD = {PODS: 1}
_GroupKey = tuple[str, str, str]
"""Namespace, name of the group, and queue."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One that names a queue and can't wait in it, as things stand."""

    member: Member
    reason: str
    words: str


@dataclass
class Sight:
    """`jobs` stand in a queue, each made of its `members` (by the job's uid); `unheld` run past theirs."""

    jobs: list[Seen] = field(default_factory=list)
    members: dict[str, tuple[Member, ...]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    unheld: list[Member] = field(default_factory=list)

    def members_of(self, jobs: Iterable[str], phase: Phase) -> Iterable[tuple[str, Member]]:
        """Of these jobs (their uids), those in this phase, each with the uid of its job."""
        return ((uid, one) for uid in jobs for one in self.members.get(uid, ()) if one.phase is phase)

    def late(self, covers: Callable[[Job], bool]) -> set[str]:
        """Jobs (their uids) that were let go, of which members still wait: those are to be let go, too. With whom a
        job would be more than what was admitted, as `covers` says, is refused."""
        found = set()
        for one in self.jobs:
            members = self.members[one.job.uid] if one.phase is Phase.RUNNING else ()
            waiting = [member for member in members if member.phase is Phase.WAITING]
            if waiting and covers(one.job):
                found.add(one.job.uid)
            else:
                self.refused += [Refused(member, "GroupInvalid", _outgrown(member)) for member in waiting]
        return found


class Lookout:
    """Looks at the jobs of each cycle; of those that are as they were it says again what it said."""

    def __init__(self, kinds: Sequence[Kind], priorities: Mapping[str, int], market: Market) -> None:
        """`priorities` is the value of each PriorityClass."""
        self._kinds = kinds
        self.priorities = priorities
        self.market = market
        self._known: dict[str, tuple[Member, Member]] = {}
        self._gangs: dict[_GroupKey, tuple[tuple[Member, ...], frozenset[str], Gang]] = {}

    def look(self, view: View, admits: Mapping[str, frozenset[str]]) -> Sight:
        """`admits` names the namespaces of each queue. Jobs of an unknown queue wait for it."""
        sight, known = Sight(), dict[str, tuple[Member, Member]]()
        alone, groups = defaultdict[str, list[Member]](list), defaultdict[_GroupKey, list[Member]](list)
        for raw in (one for kind in self._kinds for one in kind.members(view)):
            member = self._valued(raw)
            known[raw.uid] = raw, member
            namespaces = admits.get(member.queue)
            if namespaces is not None and member.namespace not in namespaces:
                if member.phase in (Phase.WAITING, Phase.LEAVING):
                    sight.refused.append(Refused(member, "NotAllowed", _stranger(member)))
            elif member.unheld:
                sight.unheld.append(member)
            elif member.group is not None:
                groups[member.namespace, member.group.name, member.queue].append(member)
            else:
                alone[member.seen.job.uid].append(member)
        self._known = known
        for uid, some in alone.items():
            sight.jobs.append(single_of(some))
            sight.members[uid] = tuple(some)
        self._see_groups(groups, sight)
        return sight

    def _see_groups(self, groups: Mapping[_GroupKey, Sequence[Member]], sight: Sight) -> None:
        queues = defaultdict[tuple[str, str], set[str]](set)
        for namespace, name, queue in groups:
            queues[namespace, name].add(queue)
        gangs = {}
        for key, some in groups.items():
            members, named, last = tuple(some), frozenset(queues[key[:2]]), self._gangs.get(key)
            if last is None or last[:2] != (members, named):
                last = members, named, gang_of(members, named)
            gangs[key], gang = last, last[2]
            sight.refused += [Refused(one, "GroupInvalid", gang.words) for one in gang.refused]
            if gang.seen is not None:
                sight.jobs.append(gang.seen)
                sight.members[gang.seen.job.uid] = gang.members
        self._gangs = gangs

    def _valued(self, raw: Member) -> Member:
        """With its priority and its price."""
        last = self._known.get(raw.uid)
        if last is not None and last[0] is raw:
            return last[1]
        job = raw.seen.job
        priority = self.priorities.get(raw.priority_class, job.priority)
        valued = replace(job, priority=priority, price_usd_hour=self._price(job))
        return replace(raw, seen=replace(raw.seen, job=valued))

    def _price(self, job: Job) -> float | None:
        """Of all its pods, in dollars an hour; None if one is unknown."""
        prices = [self.market.usd_hour(pods.requests + _ONE_POD) for pods in job.pod_sets]
        known = [price * pods.count for price, pods in zip(prices, job.pod_sets, strict=True) if price is not None]
        return sum(known) if len(known) == len(prices) else None


def _stranger(member: Member) -> str:
    queue = member.queue
    return f"its namespace may not use queue {queue}: ask for a label that the queue's namespaceSelector selects"


def _outgrown(member: Member) -> str:
    return (
        f"group {member.group_name} runs, and was admitted with less than it would take with this one: ask for no more "
        "than the one that it replaces, or use another name"
    )

"""From the cluster to what the queue sees: its jobs, where they are, and what they cost."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from spotkube.controllers.queues.groups import Gang, gang_of, single_of
from spotkube.controllers.queues.kinds import Kind, Member, Terms
from spotkube.controllers.view import View
from spotkube.queueing.jobs import Job
from spotkube.queueing.seen import Phase, Seen

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
    """`jobs` stand in a queue, each made of its `members` (by the job's uid); `unheld` run past theirs. Of those that
    are alone, `over` have ended."""

    jobs: list[Seen] = field(default_factory=list)
    members: dict[str, tuple[Member, ...]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    unheld: list[Member] = field(default_factory=list)
    over: list[Member] = field(default_factory=list)

    def members_of(self, jobs: Iterable[str], phase: Phase) -> Iterable[tuple[str, Member]]:
        """Of these jobs (their uids), those in this phase, each with the uid of its job."""
        return ((uid, one) for uid in jobs for one in self.members.get(uid, ()) if one.phase is phase)

    def shows(self, job: str, member: Member) -> bool:
        """Whether the job has this member still, and nobody has changed the object since."""
        return any(one.made_of is member.made_of for one in self.members.get(job, ()))

    def late(self, covers: Callable[[Job], bool]) -> set[str]:
        """Jobs (their uids) that were let go, of which members still wait: those are to be let go, too. With whom a
        job would be more than what was admitted, as `covers` says, is refused."""
        found = set()
        for one in self.jobs:
            if one.phase is not Phase.RUNNING:
                continue
            waiting = [member for member in self.members[one.job.uid] if member.phase is Phase.WAITING]
            if waiting and covers(one.job):
                found.add(one.job.uid)
            else:
                self.refused += [Refused(member, "GroupInvalid", _outgrown(member)) for member in waiting]
        return found


class Lookout:
    """Looks at the jobs of each cycle. Of those that are as they were it knows what it saw: a look costs what has
    changed since the last one, and little of what there is."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._kinds = kinds
        self._gangs: dict[_GroupKey, tuple[tuple[Member, ...], frozenset[str], Gang]] = {}
        self._admits: Mapping[str, frozenset[str]] = {}
        # By identity, with the objects themselves, so that none of their ids is given to another one.
        self._sorted: dict[int, Member] = {}
        self._refused: dict[int, Refused] = {}
        self._unheld: dict[int, Member] = {}
        self._grouped: dict[int, Member] = {}
        self._over: dict[int, Member] = {}
        self._alone: dict[str, tuple[Member, ...]] = {}
        self._jobs: dict[str, Seen] = {}

    def settled(self, sight: Sight) -> None:
        """All that was seen to have ended is known by now: single jobs that have are not shown again. Ended Jobs may
        stay in a cluster by the thousands."""
        over = frozenset(map(id, sight.over))
        self._over = {id_: one for id_, one in self._over.items() if id_ not in over}
        self._stand({one.seen.job.uid for one in sight.over}, lambda one: id(one) not in over)
        for kind in self._kinds:
            kind.set_aside([one for one in sight.over if one.kind is kind])

    def forget(self) -> None:
        """Another replica may lead meanwhile, and know what we don't."""
        for known in (self._sorted, self._refused, self._unheld, self._grouped, self._over):
            known.clear()
        self._alone, self._jobs = {}, {}

    def look(self, view: View, admits: Mapping[str, frozenset[str]], terms: Terms) -> Sight:
        """`admits` names the namespaces of each queue. Jobs of an unknown queue wait for it."""
        if admits != self._admits:
            self.forget()
            self._admits = admits
        there = {id(one): one for kind in self._kinds for one in kind.members(view, terms)}
        gone = [self._sorted[id_] for id_ in self._sorted.keys() - there.keys()]
        news = [one for id_, one in there.items() if id_ not in self._sorted]
        try:
            self._take_out(gone)
            for one in news:
                self._sort(one)
        except Exception:
            self.forget()  # what was taken in by half would never be looked at again
            raise
        self._sorted = there
        sight = Sight(
            list(self._jobs.values()),
            dict(self._alone),
            list(self._refused.values()),
            list(self._unheld.values()),
            list(self._over.values()),
        )
        grouped = [one for id_, one in there.items() if id_ in self._grouped] if self._grouped else []
        self._see_groups(_by_group(grouped), sight)
        return sight

    def _sort(self, member: Member) -> None:
        """Puts it where it belongs."""
        namespaces = self._admits.get(member.queue)
        if namespaces is not None and member.about.namespace not in namespaces:
            if member.phase in (Phase.WAITING, Phase.LEAVING):
                self._refused[id(member)] = Refused(member, "NotAllowed", _stranger(member))
        elif member.unheld:
            self._unheld[id(member)] = member
        elif member.group is not None:
            self._grouped[id(member)] = member
        else:
            uid = member.seen.job.uid
            self._alone[uid] = some = (*self._alone.get(uid, ()), member)
            self._jobs[uid] = single_of(some)
            if member.seen.has_ended:
                self._over[id(member)] = member

    def _take_out(self, gone: Iterable[Member]) -> None:
        left = {id(member): member for member in gone}
        for known in (self._refused, self._unheld, self._grouped, self._over):
            for id_ in left:
                known.pop(id_, None)
        self._stand({one.seen.job.uid for one in left.values()}, lambda one: id(one) not in left)

    def _stand(self, uids: Iterable[str], stays: Callable[[Member], bool]) -> None:
        """Of these jobs only members that stay are left."""
        for uid in uids:
            if some := tuple(filter(stays, self._alone.get(uid, ()))):
                self._alone[uid], self._jobs[uid] = some, single_of(some)
            else:
                self._alone.pop(uid, None)
                self._jobs.pop(uid, None)

    def _see_groups(self, groups: Mapping[_GroupKey, Sequence[Member]], sight: Sight) -> None:
        queues = defaultdict[tuple[str, str], set[str]](set)
        for (namespace, name, queue), some in groups.items():
            if not all(one.seen.has_ended for one in some):  # An earlier group of the name may have had another queue.
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


def _by_group(members: Iterable[Member]) -> dict[_GroupKey, list[Member]]:
    groups: dict[_GroupKey, list[Member]] = defaultdict(list)
    for member in members:
        groups[member.namespace, member.group_name, member.queue].append(member)
    return groups


def _stranger(member: Member) -> str:
    queue = member.queue
    return f"its namespace may not use queue {queue}: ask for a label that the queue's namespaceSelector selects"


def _outgrown(member: Member) -> str:
    return (
        f"group {member.group_name} runs, and was admitted with less than it would take with this one: ask for no more "
        "than the one that it replaces, or use another name"
    )

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
    """Looks at the jobs of each cycle; of those that are as they were it says again what it said."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._kinds = kinds
        self._gangs: dict[_GroupKey, tuple[tuple[Member, ...], frozenset[str], Gang]] = {}
        # By identity, with the objects themselves, so that none of their ids is given to another one.
        self._over: dict[int, Member] = {}

    def settled(self, sight: Sight) -> None:
        """All that was seen to have ended is known by now: single jobs that have are not shown again. Ended Jobs may
        stay in a cluster by the thousands."""
        self._over |= {id(member): member for member in sight.over}

    def forget(self) -> None:
        """Another replica may lead meanwhile, and know what we don't."""
        self._over.clear()

    def look(self, view: View, admits: Mapping[str, frozenset[str]], terms: Terms) -> Sight:
        """`admits` names the namespaces of each queue. Jobs of an unknown queue wait for it."""
        sight, groups = Sight(), defaultdict[_GroupKey, list[Member]](list)
        alone, before, self._over = sight.members, self._over, {}
        for member in (one for kind in self._kinds for one in kind.members(view, terms)):
            if id(member) in before:
                self._over[id(member)] = member
                continue
            job, namespace = member.seen.job, member.about.namespace
            namespaces = admits.get(job.queue)
            if namespaces is not None and namespace not in namespaces:
                if member.phase in (Phase.WAITING, Phase.LEAVING):
                    sight.refused.append(Refused(member, "NotAllowed", _stranger(member)))
            elif member.unheld:
                sight.unheld.append(member)
            elif member.group is not None:
                groups[member.namespace, member.group.name, job.queue].append(member)
            else:
                uid = job.uid
                alone[uid] = (*alone[uid], member) if uid in alone else (member,)
                if member.seen.has_ended:
                    sight.over.append(member)
        sight.jobs = [single_of(some) for some in alone.values()]
        self._see_groups(groups, sight)
        return sight

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


def _stranger(member: Member) -> str:
    queue = member.queue
    return f"its namespace may not use queue {queue}: ask for a label that the queue's namespaceSelector selects"


def _outgrown(member: Member) -> str:
    return (
        f"group {member.group_name} runs, and was admitted with less than it would take with this one: ask for no more "
        "than the one that it replaces, or use another name"
    )

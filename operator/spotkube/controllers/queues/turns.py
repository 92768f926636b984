"""Whose turn has come is let go beside the cycle: who is next is decided while hundreds are still being let go, so that
what comes free meanwhile does not lie idle."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spotkube.controllers.ongoing import Ongoing
from spotkube.controllers.queues.figures import Figures
from spotkube.controllers.queues.kinds import Member
from spotkube.controllers.queues.seeing import Sight
from spotkube.controllers.toolbox import Toolbox
from spotkube.queueing.book import Book
from spotkube.queueing.seen import Phase

# A cycle waits so long for them.
TURN_SECONDS = 0.25


@dataclass(frozen=True)
class _Turn:
    """Of a member of the job `uid`, as it was decided; the `first` is counted for all. `told` is when a start was first
    told, and which one."""

    uid: str
    member: Member
    first: bool
    width: int | None
    told: tuple[float, float] | None
    decided_seconds: float


class Turns:
    """Owned by the leader. One is under way from the moment on when it may be carried out, until its member is seen as
    somebody made it since."""

    def __init__(self, tools: Toolbox, figures: Figures) -> None:
        self._tools = tools
        self._figures = figures
        self._ongoing = Ongoing(self._let_go)
        self._under_way: dict[str, _Turn] = {}
        self.let_go = 0
        """How many members so far."""

    def under_way(self, sight: Sight) -> Iterator[str]:
        """The jobs (their uids) of those under way; all others are not begun any more until they are told again."""
        self._ongoing.withdraw()
        seen = [uid for uid, turn in self._under_way.items() if not sight.shows(turn.uid, turn.member)]
        for uid in seen:
            del self._under_way[uid]
        return (turn.uid for turn in self._under_way.values())

    async def take(self, jobs: Iterable[str], sight: Sight, book: Book, now: float) -> None:
        """The turn of these has come. Raises what went wrong since the last time: ApiError, NotLeading."""
        turns = (
            _Turn(uid, member, member is sight.members[uid][0], book.width_of(uid), book.outcomes.first_told(uid), now)
            for uid, member in sight.members_of(jobs, Phase.WAITING)
        )
        await self._ongoing.go_on({turn.member.uid: turn for turn in turns}, TURN_SECONDS)

    def forget(self) -> None:
        """Another replica may lead meanwhile."""
        self._ongoing.forget()
        self._under_way.clear()

    async def _let_go(self, turn: _Turn) -> None:
        member, now = turn.member, turn.decided_seconds
        self._under_way[member.uid] = turn
        done = False
        try:
            done = await member.kind.let_go(member, turn.width, now)
        finally:
            if not done:
                self._under_way.pop(member.uid, None)
        if done:
            self.let_go += 1
            if turn.first:
                account = member.queue, member.seen.job.tenant
                self._figures.let_go(account, now - member.seen.job.submitted_seconds, now, turn.told)
            words = member.said(f"queue {member.queue} let it go")
            self._tools.recorder.record(member.about, "Normal", "Admitted", words, "Queue")

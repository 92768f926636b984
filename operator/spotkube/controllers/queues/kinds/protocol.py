"""What a kind of object has to tell and to do to stand in a queue."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from spotkube.cluster.events import ObjectRef
from spotkube.controllers.queues.capacity import Market
from spotkube.controllers.view import View
from spotkube.model.pods import Pod
from spotkube.model.queued import PodGroup
from spotkube.queueing.seen import Phase, Seen
from spotkube.queueing.tenants import Tenants


@dataclass(frozen=True)
class Terms:
    """What jobs are valued by; the same object as long as nothing of it changes."""

    priorities: Mapping[str, int]
    """The value of each PriorityClass."""
    market: Market
    tenants: Tenants


@dataclass(frozen=True)
class Member:
    """An object that names a queue: a job by itself, or one of several that make one (`group`).

    `seen` is what the queue would know of it alone. `unheld` says that it runs past its queue and can still be held
    back, `continues` that it waits in the stead of one that ran and was moved, whose place it has. `made_of` is the
    object as its kind sees it, `mistake` what its owner wrote and can't be used.
    """

    kind: "Kind"
    about: ObjectRef
    seen: Seen
    group: PodGroup | None = None
    unheld: bool = False
    continues: bool = False
    mistake: str = ""
    made_of: Any = field(default=None, repr=False)

    @property
    def uid(self) -> str:
        return self.about.uid

    @property
    def queue(self) -> str:
        return self.seen.job.queue

    @property
    def namespace(self) -> str:
        return self.about.namespace or ""

    @property
    def group_name(self) -> str:
        return self.group.name if self.group is not None else ""

    @property
    def phase(self) -> Phase:
        return self.seen.phase

    def said(self, words: str) -> str:
        """What is said to its owner: these words, and what he should mend."""
        return f"{words}; {self.mistake}" if self.mistake else words

    @property
    def pods(self) -> int:
        """How many it runs at the same time."""
        return self.seen.job.parallelism


class Kind(Protocol):
    """Owned by the leader. Its patches fail, and are decided about again, when an object is no longer as it was
    seen; what is done twice does no harm."""

    def members(self, view: View, terms: Terms) -> Iterable[Member]:
        """All objects of the kind that name a queue and are the queue's to hold. Of an object that is as it was, by the
        same terms, it gives the very same Member again."""

    def set_aside(self, ended: Iterable[Member]) -> None:
        """All is known that these tell, which have ended: `members` may leave them out from now on."""

    def queue_of(self, pod: Pod, view: View) -> str | None:
        """The queue that the pod runs in, if it is one that an object of this kind made, or is."""

    async def let_go(self, member: Member, width: int | None, now: float) -> bool:
        """It may make its pods (of one that can be divided, `width`; None: all), or run. False if it is not as it was
        seen. Raises ApiError, NotLeading."""

    async def take_back(self, member: Member) -> bool:
        """Its pods end, and it, or what is made in its place, waits again; False if it can't be done now. It is asked
        for again in each cycle as long as the member runs. Raises ApiError, NotLeading."""

    async def hold(self, member: Member) -> None:
        """One that is `unheld` waits from now on. Raises ApiError, NotLeading."""

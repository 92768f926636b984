"""A burst of notices: all nodes that they take are closed first, and replaced by one plan."""

from collections.abc import Awaitable, Callable

from spotkube.controllers.claims.doors import Doors
from spotkube.controllers.claims.reconcile import ClaimController
from spotkube.controllers.view import View
from spotkube.observe import Observer

# Those of a hundred nodes, taken at once, reach us within a second or two; one that goes alone waits for no others.
NOTICE_ROUNDS = 3
DOORS_SECONDS = 1.0


class Closing:
    """Looks at the cluster once what is about to end is closed."""

    def __init__(self, doors: Doors, claims: ClaimController, observer: Observer) -> None:
        self._doors = doors
        self._claims = claims
        self._observer = observer
        self._closed_when_seen = self._closed_when_asked = 0

    @property
    def has_unasked(self) -> bool:
        """Whether nodes were closed that nobody has asked replacements for yet."""
        return self._doors.closed != self._closed_when_asked

    def asked(self) -> None:
        """Replacements are asked for all that were closed at the last look."""
        self._closed_when_asked = self._closed_when_seen

    async def look(self, isolated: Callable[[str, Callable[[], Awaitable[None]]], Awaitable[bool]]) -> View:
        """Stores what notices there are, and the view after it. Each step is taken by `isolated`."""
        stored = False

        async def store() -> None:
            nonlocal stored
            stored = await self._claims.close(view)

        for _ in range(NOTICE_ROUNDS):
            # To look at a large cluster takes as long as to close a hundred nodes, which come first.
            await isolated("doors", lambda: self._doors.settled(DOORS_SECONDS))
            self._closed_when_seen = self._doors.closed
            view, stored = await self._observer.look(), False
            if await isolated("notices", store) and not stored:
                return view
        return await self._observer.look()

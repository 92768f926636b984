"""What was made of objects that seldom change is kept for the next time, so that a cycle costs what has changed and not
what there is.

Objects count as the same where they are identical: stores hand out the same object until it changes.
"""

from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache
from typing import Generic, TypeVar, cast

T = TypeVar("T")
V = TypeVar("V")
H = TypeVar("H", bound=Hashable)
# What thousands of pods have in common comes from far fewer templates.
_MOST_SHARED = 10_000


@lru_cache(maxsize=_MOST_SHARED)
def _first(value: Hashable) -> Hashable:
    return value


def shared(value: H) -> H:
    """An equal object that was given before and not long ago, else this one: of what many have in common, each having
    its own takes most of the memory, and to find them equal most of the time."""
    return cast("H", _first(value))


class Kept(Generic[T, V]):
    """Makes values of objects anew only for those that it was not asked for last time."""

    def __init__(self, make: Callable[[T], V]) -> None:
        """`make` gives equal values for the same object, whatever happened meanwhile."""
        self._make = make
        # With the objects themselves, so that none of their ids is given to another one.
        self._last: dict[int, tuple[T, V]] = {}

    def of_all(self, items: Iterable[T]) -> list[V]:
        """A value for each, in their order. Those of objects that are not among them are forgotten."""
        last, make = self._last, self._make
        found = [last.get(id(item)) or (item, make(item)) for item in items]
        self._last = {id(pair[0]): pair for pair in found}
        return [value for _, value in found]


class KeptByName(Generic[V]):
    """A value for each name, made anew where anything differs that it is made from."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[tuple[object, ...], V]] = {}
        self._now: dict[str, tuple[tuple[object, ...], V]] = {}

    def of(self, name: str, parts: tuple[object, ...], make: Callable[[], V]) -> V:
        """The value of `parts`, which last until `turn`."""
        last = self._last.get(name)
        if last is not None and len(last[0]) == len(parts) and all(a is b for a, b in zip(last[0], parts, strict=True)):
            found = last
        else:
            found = (parts, make())
        self._now[name] = found
        return found[1]

    def turn(self) -> None:
        """All that was not asked for since the last turn is forgotten."""
        self._last, self._now = self._now, {}

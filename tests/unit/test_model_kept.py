"""What many objects have in common is held once."""

from __future__ import annotations

from builders import make_pod
from spotkube.model.kept import shared
from spotkube.model.pods import shapes_of


def test_equal_objects_become_one() -> None:
    one, other = make_pod("a", cpu="1").shape, make_pod("b", cpu="1").shape
    assert one is not other
    assert shared(one) is shared(other)
    assert shared(make_pod("c", cpu="2").shape) is not shared(one)


def test_each_shape_is_named_once_and_in_order() -> None:
    small, large = make_pod("a", cpu="1"), make_pod("b", cpu="2")
    assert shapes_of([small, large, small]) == (small.shape, large.shape)

"""How objects are addressed, and that our table of kinds agrees with the API models."""

import pytest

from spotkube.api import KINDS
from spotkube.cluster import resources
from spotkube.cluster.resources import (
    CAPACITYPLANS,
    FAIRQUEUES,
    NODECLAIMS,
    NODEPOOLS,
    NODES,
    PODS,
    WORKLOADS,
    Resource,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PODS.path(), "/api/v1/pods"),
        (PODS.path("shop"), "/api/v1/namespaces/shop/pods"),
        (PODS.path("shop", "web-0", "eviction"), "/api/v1/namespaces/shop/pods/web-0/eviction"),
        (NODES.path(name="a.b"), "/api/v1/nodes/a.b"),
        (NODECLAIMS.path(name="c-1", subresource="status"), "/apis/spotkube.io/v1alpha1/nodeclaims/c-1/status"),
        (NODES.path(name="../pods"), "/api/v1/nodes/..%2Fpods"),
    ],
)
def test_paths(path: str, expected: str) -> None:
    assert path == expected


def test_a_namespaced_object_needs_its_namespace() -> None:
    with pytest.raises(ValueError, match="'web-0' needs a namespace"):
        PODS.path(name="web-0")


def test_a_cluster_scoped_object_has_none() -> None:
    with pytest.raises(ValueError, match="leave out namespace 'shop'"):
        NODES.path("shop")


def test_names_are_unique_and_as_kubectl_writes_them() -> None:
    known = [value for value in vars(resources).values() if isinstance(value, Resource)]
    assert len({resource.name for resource in known}) == len(known) == 23
    assert (PODS.name, NODEPOOLS.name) == ("pods", "nodepools.spotkube.io")


def test_our_kinds_are_those_of_the_api() -> None:
    ours = {r.kind: (r.plural, r.namespaced) for r in (WORKLOADS, FAIRQUEUES, NODEPOOLS, NODECLAIMS, CAPACITYPLANS)}
    models = {model.__name__: (model.resource.plural, model.resource.namespaced) for model in KINDS}
    assert ours == models

"""The real API server accepts what is right and refuses what is wrong, with words that name the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from api.cases import CASES, CHANGES, Case, Change, manifest
from api.conftest import ApiServer
from localcluster.cluster import Cluster


@pytest.fixture(scope="module")
def dry_server(cluster: Cluster, crds: None) -> Iterator[ApiServer]:
    """One for all dry runs: they leave nothing behind, so that they can share the default namespace."""
    server = ApiServer(cluster, "default")
    yield server
    server.clean_up()


def title(case: Case | Change) -> str:
    return f"{case.kind}: {case.title}"


@pytest.mark.parametrize("case", CASES, ids=title)
def test_a_new_object(case: Case, dry_server: ApiServer) -> None:
    _, refusal = dry_server.create(case.manifest())

    if case.says:
        assert case.says in refusal
    else:
        assert refusal == ""


@pytest.mark.parametrize("change", CHANGES, ids=title)
def test_a_change(change: Change, api_server: ApiServer, unique_name: Callable[[], str]) -> None:
    name = unique_name()
    _, refusal = api_server.create(manifest(change.kind, change.before, name), dry_run=False)
    assert refusal == ""

    _, refusal = api_server.patch(change.kind, name, {"spec": change.patch})

    if change.says:
        assert change.says in refusal
    else:
        assert refusal == ""

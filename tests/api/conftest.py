"""The API server with our CRDs installed, and a quick way to ask it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import config

from localcluster.cluster import Cluster
from spotkube.api import API_VERSION, KINDS
from spotkube.api.crds import render_crds

PLURALS = {model.resource.kind: model.resource for model in KINDS}


class ApiServer:
    """Asks the API server as kubectl does (unknown fields are errors), but without a process for each question."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._client = config.new_client_from_config(str(cluster.kubeconfig))
        self._namespace = namespace
        self._made: list[str] = []

    def create(self, manifest: dict[str, Any], dry_run: bool = True) -> tuple[dict[str, Any], str]:
        """The object as the server would store it, and why it refuses it ("" if it does not)."""
        path = self._path(manifest["kind"])
        body, refusal = self._ask("POST", path, manifest, dry_run)
        if not dry_run and not refusal:
            self._made.append(f"{path}/{manifest['metadata']['name']}")
        return body, refusal

    def patch(self, kind: str, name: str, patch: dict[str, Any], part: str = "") -> tuple[dict[str, Any], str]:
        """Merges `patch` into the object, or into its subresource `part` ("/status"); answers as `create`."""
        return self._ask("PATCH", f"{self._path(kind)}/{name}{part}", patch, dry_run=False)

    def clean_up(self) -> None:
        for path in self._made:
            self._ask("DELETE", path, None, dry_run=False)

    def _path(self, kind: str) -> str:
        resource = PLURALS[kind]
        scope = f"namespaces/{self._namespace}/" if resource.namespaced else ""
        return f"/apis/{API_VERSION}/{scope}{resource.plural}"

    def _ask(self, method: str, path: str, body: Any, dry_run: bool) -> tuple[dict[str, Any], str]:
        options = "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        answer = self._client.rest_client.pool_manager.request(
            method,
            f"{self._client.configuration.host}{path}{'' if method == 'DELETE' else options}",
            body=json.dumps(body) if body is not None else None,
            headers={"Content-Type": content_type},
        )
        parsed = json.loads(answer.data)
        return (parsed, "") if answer.status < 300 else ({}, parsed["message"])


@pytest.fixture(scope="session")
def crds(cluster: Cluster) -> None:
    """Our CRDs, installed and established; they stay for the session."""
    cluster.kubectl("apply", "--server-side", "-f", "-", input="---\n".join(render_crds().values()))
    names = [f"crd/{model.resource.full_name}" for model in KINDS]
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)


@pytest.fixture
def api_server(cluster: Cluster, crds: None, namespace: str) -> Iterator[ApiServer]:
    server = ApiServer(cluster, namespace)
    yield server
    server.clean_up()


@pytest.fixture
def unique_name() -> Callable[[], str]:
    return lambda: f"test-{secrets.token_hex(4)}"

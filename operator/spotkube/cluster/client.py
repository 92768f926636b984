"""A thin asynchronous client of the API server that works with plain dicts.

The official client does the connection: kubeconfig, TLS, exec plugins, service accounts. We skip its generated
classes, which cost more time and memory than the objects that they wrap.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Literal, Self

from spotkube.cluster.clock import ServerClock
from spotkube.cluster.connecting import Connection, load_connection
from spotkube.cluster.errors import Conflict, Expired, NotFound, error_from_answer
from spotkube.cluster.resources import PODS, Resource
from spotkube.cluster.throttling import RateLimiter, retrying
from spotkube.cluster.transport import Object, Objects, Transport

PatchKind = Literal["merge", "json", "strategic", "apply"]

FIELD_MANAGER = "spotkube"
PAGE_SIZE = 500
"""As kubectl and client-go's reflector: large enough for speed, small enough for the API server's memory."""

SERVER_TIMEOUT_SECONDS = 300
INACTIVITY_TIMEOUT_SECONDS = 70
"""A watch gets a bookmark a minute; one that is silent for longer has died without a word."""

_PATCH_TYPES: dict[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class KubeClient:
    """Reads are repeated when the server cannot be asked; writes are sent once (see `throttling.retrying`).

    All methods raise the errors of `spotkube.cluster.errors`. Use as an async context manager, or `close()` it.
    """

    def __init__(
        self, connection: Connection, *, qps: float = 100, burst: int = 200, clock: ServerClock | None = None
    ) -> None:
        """`clock` hears from all answers what time it is at the server; clients may share one."""
        self.connection = connection
        self._transport = Transport(connection, RateLimiter(qps, burst), clock)

    @classmethod
    async def connect(
        cls,
        kubeconfig: Path | None = None,
        context: str | None = None,
        *,
        qps: float = 100,
        burst: int = 200,
        clock: ServerClock | None = None,
    ) -> Self:
        """A client for the kubeconfig's cluster; without one, for the cluster that we run in.

        Nothing is sent yet. Raises KubeConfigError.
        """
        return cls(await load_connection(kubeconfig, context), qps=qps, burst=burst, clock=clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    async def server_version(self) -> tuple[int, int]:
        """Major and minor version of the API server; some providers write the latter as "35+"."""
        answer = await retrying(lambda: self._transport.request("GET", "/version"))
        digits = (re.match(r"[0-9]*", str(answer.get(part, ""))) for part in ("major", "minor"))
        major, minor = (int(found[0]) if found and found[0] else 0 for found in digits)
        return major, minor

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None when there is none (also when its CRD is not installed)."""
        try:
            return await retrying(lambda: self._transport.request("GET", resource.path(namespace, name)))
        except NotFound:
            return None

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> tuple[Objects, str]:
        """All objects (of one namespace, or of all) and the resourceVersion of the list."""
        for page_size in (PAGE_SIZE, 0):  # a list that expired between two pages is taken again in one piece
            items: Objects = []
            version = ""
            try:
                async for page, page_version in self.pages(
                    resource, namespace, label_selector, field_selector, page_size=page_size
                ):
                    items += page
                    version = page_version
            except Expired:
                if page_size == 0:
                    raise
            else:
                break
        return items, version

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        *,
        page_size: int = PAGE_SIZE,
    ) -> AsyncIterator[tuple[Objects, str]]:
        """The objects page by page, each with the resourceVersion of the whole list; 0 is one page.

        Raises Expired when the list grew too old between two pages: begin again.
        """
        path = resource.path(namespace)
        query = {
            "limit": str(page_size) if page_size else None,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
        }
        while True:
            answer = await retrying(lambda: self._transport.request("GET", path, query=query))
            items = answer.get("items") or []
            for item in items:  # lists of built-in kinds leave these out, watches do not
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", resource.kind)
            yield items, answer["metadata"].get("resourceVersion", "")
            query["continue"] = answer["metadata"].get("continue")
            if not query["continue"]:
                return

    async def watch(self, resource: Resource, version: str) -> AsyncIterator[tuple[str, Object]]:
        """Events after this resourceVersion, (type, object), of the whole cluster, until the server ends the watch.

        BOOKMARK only tells how far it is. Raises Expired when the server has forgotten what came after it.
        """
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(SERVER_TIMEOUT_SECONDS),
        }
        async for event in self._transport.stream(resource.path(), query, INACTIVITY_TIMEOUT_SECONDS):
            if event["type"] == "ERROR":
                status = event["object"]
                raise error_from_answer(int(status.get("code") or 500), "", {}, json.dumps(status).encode())
            yield event["type"], event["object"]

    async def create(self, resource: Resource, body: Object, namespace: str | None = None) -> Object:
        """The object as stored. Raises AlreadyExists, Invalid."""
        namespace = namespace or (_namespace_of(body) if resource.namespaced else None)
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        if resource.namespaced and namespace is None:
            raise ValueError(f"creating one of {resource.name} needs a namespace")
        return await self._transport.request("POST", resource.path(namespace), query=_MANAGED, body=body)

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Object | Objects,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        kind: PatchKind = "merge",
    ) -> Object:
        """The object as stored; `json` takes a list of operations, `apply` takes over fields from other managers.

        A merge patch with `metadata.resourceVersion` is refused with Conflict when the object changed since.
        """
        query = {**_MANAGED, "force": "true"} if kind == "apply" else _MANAGED
        if kind == "apply" and isinstance(body, dict):
            body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        path = resource.path(namespace, name, subresource)
        return await self._transport.request("PATCH", path, query=query, body=body, content_type=_PATCH_TYPES[kind])

    async def replace(
        self,
        resource: Resource,
        name: str,
        body: Object,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
    ) -> Object:
        """The object as stored; Conflict when `metadata.resourceVersion` in `body` is not the current one."""
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return await self._transport.request(
            "PUT", resource.path(namespace, name, subresource), query=_MANAGED, body=body
        )

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_seconds: int | None = None,
        propagation: Literal["Foreground", "Background", "Orphan"] | None = None,
    ) -> Object | None:
        """Ask for deletion. The object as it is then, or a Status where nothing holds it any longer; None when it was
        already gone (with `uid`: that very object, whatever has its name now).

        Raises Conflict when the object is not at `resource_version` any more.
        """
        path = resource.path(namespace, name)
        body = _delete_options(uid, resource_version, grace_seconds, propagation)
        try:
            return await self._transport.request("DELETE", path, body=body)
        except NotFound:
            return None
        except Conflict:
            if await self._is_gone(resource, name, namespace, uid):
                return None
            raise

    async def evict(self, namespace: str, name: str, *, uid: str, grace_seconds: int | None = None) -> bool:
        """Evict a pod through the Eviction API; False when that very pod was already gone.

        Raises TooManyRequests with `disruption_budget` when a PodDisruptionBudget does not allow it now, and
        Unavailable (500) for a pod that several budgets cover: kube-apiserver refuses to evict such.
        """
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": _delete_options(uid, None, grace_seconds, None),
        }
        try:
            await self._transport.request("POST", PODS.path(namespace, name, "eviction"), body=body)
        except NotFound:
            return False
        except Conflict:
            if await self._is_gone(PODS, name, namespace, uid):
                return False
            raise
        return True

    async def _is_gone(self, resource: Resource, name: str, namespace: str | None, uid: str | None) -> bool:
        found = await self.get(resource, name, namespace)
        return found is None or (uid is not None and found["metadata"]["uid"] != uid)


_MANAGED: Mapping[str, str] = {"fieldManager": FIELD_MANAGER}


def _namespace_of(body: Object) -> str | None:
    namespace = (body.get("metadata") or {}).get("namespace")
    return str(namespace) if namespace else None


def _delete_options(
    uid: str | None, resource_version: str | None, grace_seconds: int | None, propagation: str | None
) -> Object:
    preconditions = {"uid": uid, "resourceVersion": resource_version}
    options = {
        "preconditions": {key: value for key, value in preconditions.items() if value is not None} or None,
        "gracePeriodSeconds": grace_seconds,
        "propagationPolicy": propagation,
    }
    return {key: value for key, value in options.items() if value is not None}

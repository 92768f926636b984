"""An API server in memory, as far as controllers notice."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from spotkube.cluster.errors import AlreadyExists, Conflict, Invalid, NotFound, TooManyRequests
from spotkube.cluster.resources import PODS, Resource

Object = dict[str, Any]
START = 1_800_000_000.0


def rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class FakeKube:
    """An API server as far as controllers notice: versions, uids, preconditions, finalizers, budgets.

    Attributes:
        writes: what was asked to be changed, as "verb plural/name[/subresource]".
        refuse: an error by the beginning of such a line.
        budgets_hold: names of the pods that may not be evicted.
        before_write: called with each such line, to let things happen in between.
    """

    def __init__(self, clock: Clock) -> None:
        self.objects: dict[tuple[Resource, str | None, str], Object] = {}
        self.writes: list[str] = []
        self.refuse: dict[str, Exception] = {}
        self.budgets_hold: set[str] = set()
        self.before_write: Callable[[str], None] = lambda line: None
        self.grace: dict[str, int | None] = {}
        self._clock = clock
        self._versions = itertools.count(100)

    def put(self, resource: Resource, raw: Object) -> Object:
        """As somebody else would, who is not counted."""
        metadata = raw.setdefault("metadata", {})
        metadata.setdefault("uid", f"uid-{metadata['name']}")
        metadata.setdefault("creationTimestamp", rfc3339(self._clock()))
        metadata.setdefault("generation", 1)
        metadata["resourceVersion"] = str(next(self._versions))
        self.objects[resource, metadata.get("namespace"), metadata["name"]] = raw
        return raw

    def change(self, resource: Resource, name: str, patch: Object, namespace: str | None = None) -> None:
        """As somebody else would, who is not counted."""
        self._store(resource, namespace, name, merged(self.objects[resource, namespace, name], patch))

    def drop(self, resource: Resource, name: str, namespace: str | None = None) -> None:
        del self.objects[resource, namespace, name]

    def all(self, resource: Resource) -> list[Object]:
        return [raw for (kind, _, _), raw in self.objects.items() if kind == resource]

    def one(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return self.objects[resource, namespace, name]

    def mark_deleted(self, resource: Resource, name: str) -> None:
        """kubectl delete, which finalizers hold up."""
        self._delete(resource, None, name)

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        return copy.deepcopy(self.objects.get((resource, namespace, name)))

    async def list(self, resource: Resource, field_selector: str | None = None) -> tuple[list[Object], str]:
        found = self.all(resource)
        if field_selector is not None:
            field, _, node = field_selector.partition("=")
            assert field == "spec.nodeName"
            found = [raw for raw in found if raw["spec"].get("nodeName") == node]
        return copy.deepcopy(found), str(next(self._versions))

    async def create(self, resource: Resource, body: Object, namespace: str | None = None) -> Object:
        name = body["metadata"]["name"]
        self._writing(f"create {resource.plural}/{name}")
        if (resource, namespace, name) in self.objects:
            raise AlreadyExists(409, "AlreadyExists", name)
        return copy.deepcopy(self.put(resource, copy.deepcopy(body)))

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Any,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        kind: str = "merge",
    ) -> Object:
        self._writing("/".join(["patch " + resource.plural, name, *([subresource] if subresource else [])]))
        old = self._existing(resource, namespace, name)
        body = copy.deepcopy(body)
        if kind == "json":
            new = json_patched(old, body)
        elif kind == "apply":
            raise AssertionError("nothing under test applies")
        else:
            _check_preconditions(old, body)
            new = merged(old, body)
        self._store(resource, namespace, name, new)
        return copy.deepcopy(new)

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        uid: str | None = None,
        grace_seconds: int | None = None,
    ) -> Object | None:
        self._writing(f"delete {resource.plural}/{name}")
        raw = self.objects.get((resource, namespace, name))
        if raw is None or (uid is not None and raw["metadata"]["uid"] != uid):
            return None
        if resource == PODS:
            self.grace[name] = grace_seconds
            self._begin_deletion(raw, grace_seconds)
        else:
            self._delete(resource, namespace, name)
        status: Object = {"kind": "Status", "metadata": {}, "status": "Success"}
        return copy.deepcopy(self.objects.get((resource, namespace, name), status))

    async def evict(self, namespace: str, name: str, *, uid: str, grace_seconds: int | None = None) -> bool:
        self._writing(f"evict pods/{name}")
        if name in self.budgets_hold:
            raise TooManyRequests(429, "TooManyRequests", "the budget holds", None, True)
        raw = self.objects.get((PODS, namespace, name))
        if raw is None or raw["metadata"]["uid"] != uid:
            return False
        self._begin_deletion(raw, grace_seconds)
        return True

    def _begin_deletion(self, pod: Object, grace_seconds: int | None) -> None:
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30) if grace_seconds is None else grace_seconds
        pod["metadata"]["deletionTimestamp"] = rfc3339(self._clock() + grace)
        self.put(PODS, pod)

    def _writing(self, line: str) -> None:
        self.before_write(line)
        self.writes.append(line)
        for beginning, error in self.refuse.items():
            if line.startswith(beginning):
                raise error

    def _existing(self, resource: Resource, namespace: str | None, name: str) -> Object:
        try:
            return self.objects[resource, namespace, name]
        except KeyError:
            raise NotFound(404, "NotFound", name) from None

    def _store(self, resource: Resource, namespace: str | None, name: str, new: Object) -> None:
        metadata = new["metadata"]
        for part, field in (("metadata", "finalizers"), ("spec", "taints")):  # empty lists of built-in kinds vanish
            if new.get(part, {}).get(field) == []:
                del new[part][field]
        if new != self.objects[resource, namespace, name]:
            metadata["resourceVersion"] = str(next(self._versions))
        self.objects[resource, namespace, name] = new
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and resource != PODS:
            del self.objects[resource, namespace, name]

    def _delete(self, resource: Resource, namespace: str | None, name: str) -> None:
        raw = self.objects[resource, namespace, name]
        if raw["metadata"].get("finalizers"):
            raw["metadata"].setdefault("deletionTimestamp", rfc3339(self._clock()))
            self.put(resource, raw)
        else:
            del self.objects[resource, namespace, name]


def _check_preconditions(old: Object, body: Object) -> None:
    wanted = body.get("metadata", {})
    for field in ("uid", "resourceVersion"):
        if field in wanted and wanted[field] != old["metadata"][field]:
            raise Conflict(409, "Conflict", f"{field} is {old['metadata'][field]}")
        wanted.pop(field, None)


def merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    new = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        else:
            new[name] = merged(new.get(name), value)
    return new


def json_patched(old: Object, operations: list[Object]) -> Object:
    """RFC 6902, as far as it is used: test, add, remove and replace; all or nothing."""
    new = copy.deepcopy(old)
    for operation in operations:
        *path, last = [part.replace("~1", "/") for part in operation["path"].split("/")[1:]]
        place: Any = new
        for part in path:
            place = place[int(part)] if isinstance(place, list) else place[part]
        _apply(place, last, operation)
    return new


def _apply(place: Any, last: str, operation: Object) -> None:
    value = operation.get("value")
    if isinstance(place, list):
        if operation["op"] == "add":
            place.insert(len(place) if last == "-" else int(last), value)
            return
        if int(last) >= len(place):
            raise Invalid(422, "Invalid", f"no item {last}")
        there, key = place[int(last)], cast("Any", int(last))
    else:
        there, key = place.get(last), last
        if operation["op"] == "add":
            place[last] = value
            return
    if operation["op"] == "test" and there != value:
        raise Invalid(422, "Invalid", f"testing {operation['path']}: {there!r} is not {value!r}")
    if operation["op"] == "remove":
        del place[key]
    if operation["op"] == "replace":
        place[key] = value

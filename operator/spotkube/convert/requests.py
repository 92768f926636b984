"""How much a pod asks of its node, by the rules of Kubernetes 1.36."""

from collections.abc import Iterable, Mapping
from typing import Any

from spotkube.model.resources import PODS, ResourceList, parse_request

Json = Mapping[str, Any]

_HUGE_PAGES = "hugepages-"
_NOTHING: Json = {}


def pod_requests(spec: Json, status: Json = _NOTHING) -> ResourceList:
    """The pod's effective request, and the pod itself as one of "pods". Raises ValueError naming container and value.

    Containers and sidecars (init containers that always restart) add up; an ordinary init container needs room beside
    the sidecars started before it; the larger of both counts (KEP-753). Requests of the pod as a whole replace the sum
    for cpu, memory and huge pages (KEP-2837). While a container is being resized, the largest of what it asks for, was
    promised and has counts, without what it asks for if that is infeasible (KEP-1287). The overhead of the RuntimeClass
    comes on top. Volumes count nothing, not even an emptyDir with a sizeLimit.

    Args:
        spec: of the pod.
        status: of a pod that has a node; of one that has none only the spec counts.
    """
    resized = _Resizes(status)
    sidecars, peak_of_init, named = ResourceList(), ResourceList(), set[str]()
    for container in spec.get("initContainers") or ():
        is_sidecar = container.get("restartPolicy") == "Always"
        request = resized.of_container(container) if is_sidecar else _container_request(container)
        named.update(_given(container))
        if is_sidecar:
            sidecars += request
            peak_of_init = peak_of_init.maximum(sidecars)
        else:
            peak_of_init = peak_of_init.maximum(request + sidecars)
    running = sidecars
    for container in spec.get("containers") or ():
        running += resized.of_container(container)
        named.update(_given(container))
    total = running.maximum(peak_of_init)
    total = ResourceList({**total, **resized.of_pod(_pod_level(spec, named))})
    return total + _amounts(spec.get("overhead"), "overhead") + {PODS: 1}


class _Resizes:
    """What the status says of containers whose resources change while they run."""

    def __init__(self, status: Json) -> None:
        statuses = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
        self._containers: dict[str, Json] = {one["name"]: one for one in statuses if one.get("resources") is not None}
        self._pod = status if status.get("resources") is not None else None
        pending = [c for c in status.get("conditions") or () if c["type"] == "PodResizePending"]
        self._infeasible = any(condition.get("reason") == "Infeasible" for condition in pending[:1])

    def of_container(self, container: Json) -> ResourceList:
        asked = _container_request(container)
        status = self._containers.get(container.get("name", ""))
        return asked if status is None else self._largest(asked, status, f"status of container {container['name']!r}")

    def of_pod(self, asked: Mapping[str, int]) -> Mapping[str, int]:
        """For the same resources as are asked for."""
        if self._pod is None:
            return asked
        largest = self._largest(ResourceList(asked), self._pod, "status of the pod")
        return {name: largest[name] for name in asked}

    def _largest(self, asked: ResourceList, status: Json, whose: str) -> ResourceList:
        has = _amounts(status["resources"].get("requests"), whose)
        promised = _amounts(status.get("allocatedResources"), whose)
        return has.maximum(promised) if self._infeasible else asked.maximum(has).maximum(promised)


def _pod_level(spec: Json, named: Iterable[str]) -> dict[str, int]:
    """What the pod as a whole requests. Limits stand in for requests that neither it nor (as `named`) a container
    gives; of huge pages, which can't be overcommitted, they do so always."""
    resources = spec.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    implied = {name: value for name, value in limits.items() if name.startswith(_HUGE_PAGES) or name not in set(named)}
    return {
        name: _amount(name, quantity, "pod")
        for name, quantity in {**implied, **requests}.items()
        if name in ("cpu", "memory") or name.startswith(_HUGE_PAGES)
    }


def _given(container: Json) -> dict[str, Any]:
    """The quantities a container requests; where only a limit is given, the API server makes it the request."""
    resources = container.get("resources") or {}
    return {**(resources.get("limits") or {}), **(resources.get("requests") or {})}


def _container_request(container: Json) -> ResourceList:
    return _amounts(_given(container), f"container {container.get('name', '?')!r}")


def _amounts(quantities: Json | None, whose: str) -> ResourceList:
    return ResourceList({name: _amount(name, quantity, whose) for name, quantity in (quantities or {}).items()})


def _amount(name: str, quantity: Any, whose: str) -> int:
    try:
        return parse_request(name, quantity)
    except ValueError as error:
        raise ValueError(f"{whose}: {error}") from error

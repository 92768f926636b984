"""How much a pod asks of its node, by the rules of Kubernetes."""

from collections.abc import Mapping
from typing import Any

from spotkube.model.resources import PODS, ResourceList

Json = Mapping[str, Any]


def pod_requests(spec: Json) -> ResourceList:
    """The pod's effective request, and the pod itself as one of "pods". Raises ValueError naming container and value.

    Containers and sidecars (init containers that always restart) add up; an ordinary init container needs room beside
    the sidecars started before it; the larger of both counts (KEP-753). Pod-level requests replace the sum for the
    resources that they name, pod-level limits stand in for requests that nobody gave (KEP-2837). The overhead of the
    RuntimeClass comes on top.
    """
    sidecars = ResourceList()
    peak_of_init = ResourceList()
    for container in spec.get("initContainers") or ():
        request = _container_request(container)
        if container.get("restartPolicy") == "Always":
            sidecars += request
            peak_of_init = peak_of_init.maximum(sidecars)
        else:
            peak_of_init = peak_of_init.maximum(request + sidecars)
    running = sidecars
    for container in spec.get("containers") or ():
        running += _container_request(container)
    total = running.maximum(peak_of_init)
    pod_level = spec.get("resources") or {}
    limits, requests = _amounts(pod_level.get("limits"), "pod"), _amounts(pod_level.get("requests"), "pod")
    total = ResourceList({**limits, **total, **requests})
    return total + _amounts(spec.get("overhead"), "overhead") + {PODS: 1}


def _container_request(container: Json) -> ResourceList:
    resources = container.get("resources") or {}
    # Where only a limit is given, the API server makes it the request.
    effective = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return _amounts(effective, f"container {container.get('name', '?')!r}")


def _amounts(quantities: Json | None, whose: str) -> ResourceList:
    try:
        return ResourceList.from_quantities(quantities)
    except ValueError as error:
        raise ValueError(f"{whose}: {error}") from error

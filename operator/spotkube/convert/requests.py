"""How much a pod asks of its node, by the rules of Kubernetes."""

from collections.abc import Mapping
from typing import Any

from spotkube.model.resources import PODS, ResourceList

Json = Mapping[str, Any]


def pod_requests(spec: Json) -> ResourceList:
    """The pod's effective request, and the pod itself as one of "pods". Raises ValueError naming container and value.

    Containers and sidecars (init containers that always restart) add up; an ordinary init container needs room beside
    the sidecars started before it; the larger of both counts (KEP-753). Pod-level requests replace the sum for the
    resources that they name (KEP-2837). The overhead of the RuntimeClass comes on top.
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
    pod_level = _effective(spec.get("resources") or {}, "pod")
    total = ResourceList({**total, **pod_level}) + ResourceList.from_quantities(spec.get("overhead"))
    return total + {PODS: 1}


def _container_request(container: Json) -> ResourceList:
    return _effective(container.get("resources") or {}, f"container {container.get('name', '?')!r}")


def _effective(resources: Json, whose: str) -> ResourceList:
    # Where only a limit is given, the API server makes it the request.
    try:
        return ResourceList.from_quantities({**(resources.get("limits") or {}), **(resources.get("requests") or {})})
    except ValueError as error:
        raise ValueError(f"{whose}: {error}") from error

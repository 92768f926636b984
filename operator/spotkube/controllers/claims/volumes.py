"""Which volumes a node must let go of before its instance may end. Pure."""

from collections.abc import Iterable

from spotkube.model.pods import Pod
from spotkube.model.volumes import NodeVolume


def still_attached(attached: Iterable[NodeVolume], staying: Iterable[Pod]) -> tuple[str, ...]:
    """Names of the volumes on a node but for those of the pods that stay on it to its end: these are never detached."""
    used = {(pod.namespace, use.name) for pod in staying for use in pod.claims}
    return tuple(sorted(one.volume for one in attached if one.claim is None or one.claim not in used))

"""The API group spotkube.io/v1alpha1: its five kinds as pydantic models, from which crds/ and docs/reference/api.md
are generated."""

from typing import Final

from spotkube.api.capacityplan import CapacityPlan
from spotkube.api.common import KubeObject
from spotkube.api.fairqueue import FairQueue
from spotkube.api.nodeclaim import NodeClaim
from spotkube.api.nodepool import NodePool
from spotkube.api.workload import Workload
from spotkube.model.labels import API_VERSION, CATEGORY, GROUP, VERSION

KINDS: Final[tuple[type[KubeObject], ...]] = (Workload, FairQueue, NodePool, NodeClaim, CapacityPlan)
"""Every kind of the group; `model.resource` has its plural, short name and scope."""

__all__ = [
    "API_VERSION",
    "CATEGORY",
    "GROUP",
    "KINDS",
    "VERSION",
    "CapacityPlan",
    "FairQueue",
    "NodeClaim",
    "NodePool",
    "Workload",
]

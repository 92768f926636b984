"""The parts of Kubernetes' objects that the converters read, as models: a manifest is checked against them first.

Live objects have been through the API server; files have not. What is not listed here is of no matter for planning.
"""

from spotkube.convert.schemas.nodes import CSINode, Node
from spotkube.convert.schemas.owners import (
    CronJob,
    DaemonSet,
    Job,
    PodDisruptionBudget,
    Replicated,
    WorkloadTemplates,
)
from spotkube.convert.schemas.parts import Named
from spotkube.convert.schemas.pods import Pod, PriorityClass, RuntimeClass
from spotkube.convert.schemas.storage import PersistentVolume, PersistentVolumeClaim, StorageClass

__all__ = [
    "CSINode",
    "CronJob",
    "DaemonSet",
    "Job",
    "Named",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Pod",
    "PodDisruptionBudget",
    "PriorityClass",
    "Replicated",
    "RuntimeClass",
    "StorageClass",
    "WorkloadTemplates",
]

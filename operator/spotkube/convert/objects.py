"""The objects of a set of manifests: checked, with the defaults that kubectl would give them, and who made whom."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from spotkube.api.nodeclaim import NodeClaim
from spotkube.api.nodepool import NodePool
from spotkube.api.workload import Workload
from spotkube.convert import schemas
from spotkube.convert.checks import checked
from spotkube.convert.documents import Document, ManifestError, Mistakes
from spotkube.model import labels as keys

# Kind, namespace ("" for what has none), name.
Ref = tuple[str, str, str]

_MODELS: Mapping[tuple[str, str], type[BaseModel]] = {
    ("", "Pod"): schemas.Pod,
    ("", "Node"): schemas.Node,
    ("", "Namespace"): schemas.Named,
    ("", "ReplicationController"): schemas.Replicated,
    ("", "PersistentVolumeClaim"): schemas.PersistentVolumeClaim,
    ("", "PersistentVolume"): schemas.PersistentVolume,
    ("policy", "PodDisruptionBudget"): schemas.PodDisruptionBudget,
    ("storage.k8s.io", "StorageClass"): schemas.StorageClass,
    ("storage.k8s.io", "CSINode"): schemas.CSINode,
    ("scheduling.k8s.io", "PriorityClass"): schemas.PriorityClass,
    ("node.k8s.io", "RuntimeClass"): schemas.RuntimeClass,
    ("apps", "Deployment"): schemas.Replicated,
    ("apps", "StatefulSet"): schemas.Replicated,
    ("apps", "ReplicaSet"): schemas.Replicated,
    ("apps", "DaemonSet"): schemas.DaemonSet,
    ("batch", "Job"): schemas.Job,
    ("batch", "CronJob"): schemas.CronJob,
    (keys.GROUP, "Workload"): Workload,
    (keys.GROUP, "NodePool"): NodePool,
    (keys.GROUP, "NodeClaim"): NodeClaim,
}
# Ours that are left out, since what they say makes neither pods nor nodes.
_OURS_UNREAD = ("CapacityPlan", "FairQueue")
_CLUSTER_SCOPED = frozenset(
    {
        "Namespace",
        "Node",
        "NodePool",
        "NodeClaim",
        "PersistentVolume",
        "StorageClass",
        "CSINode",
        "PriorityClass",
        "RuntimeClass",
    }
)


class Objects:
    """The objects that matter for planning, in the order of the files. `unknown` counts the others by kind, and
    `unread` those of them that have a pod template or replicas: they would make pods that we know nothing of."""

    def __init__(self, documents: Iterable[Document], mistakes: Mistakes) -> None:
        """What is not as its kind should be is left out and noted in `mistakes`."""
        self.unknown: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()
        self._documents: dict[Ref, Document] = {}
        for document in documents:
            model = _MODELS.get((document.group, document.kind))
            with mistakes.collected():
                if model is None:
                    self._leave_out(document)
                else:
                    self._add(_with_defaults(document, model))

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._documents

    def __getitem__(self, ref: Ref) -> Document:
        return self._documents[ref]

    def items(self) -> Iterable[tuple[Ref, Document]]:
        return self._documents.items()

    def of_kind(self, kind: str) -> Iterator[Document]:
        return (document for document in self._documents.values() if document.kind == kind)

    def root(self, ref: Ref) -> Ref:
        """The topmost object that made this one, as far as the files have them; itself if none did."""
        seen = {ref}
        while (parent := controller_of(self._documents[ref])) in self._documents and parent not in seen:
            ref = parent
            seen.add(ref)
        return ref

    def _leave_out(self, document: Document) -> None:
        if document.group == keys.GROUP and document.kind not in _OURS_UNREAD:
            known = sorted({*_OURS_UNREAD, *(kind for group, kind in _MODELS if group == keys.GROUP)})
            raise ManifestError(f"{document}: kind: {document.kind!r} is none of {keys.GROUP}; use {', '.join(known)}")
        kind = f"{document.kind} ({document.content['apiVersion'] or 'no apiVersion'})"
        (self.unread if _makes_pods(document) else self.unknown)[kind] += 1

    def _add(self, document: Document) -> None:
        ref = ref_of(document)
        if ref in self._documents:
            raise ManifestError(f"{document}: is given twice, first in {self[ref].place}; remove one of the two")
        self._documents[ref] = document


def ref_of(document: Document) -> Ref:
    return document.kind, "" if document.kind in _CLUSTER_SCOPED else document.namespace, document.name


def controller_of(document: Document) -> Ref:
    """What made the object; a reference to nothing if nothing did."""
    for owner in document.content["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return owner["kind"], document.namespace, owner["name"]
    return "", "", ""


def _makes_pods(document: Document) -> bool:
    """Whether it looks so: many an operator's kind has a pod template, or tells replicas as Kubernetes' own do."""
    spec = document.content.get("spec")
    if isinstance(spec, dict) and isinstance(spec.get("replicas"), int):
        return True
    value: Any = spec
    for key in ("template", "spec"):
        value = value.get(key) if isinstance(value, dict) else None
    return isinstance(value, dict) and "containers" in value


def _with_name(document: Document) -> Document:
    """`kubectl create` takes a generateName, to which the API server adds a suffix: the place tells them apart here."""
    metadata = document.content.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("name") or not isinstance(metadata.get("generateName"), str):
        return document
    suffix = hashlib.sha256(document.place.encode()).hexdigest()[:5]
    named = {**metadata, "name": f"{metadata['generateName']}{suffix}"}
    return replace(document, content={**document.content, "metadata": named})


def _with_defaults(document: Document, model: type[BaseModel]) -> Document:
    document = _with_name(document)
    # Our own kinds are lenient about metadata, since a live object's is always sound.
    checked(schemas.Named, document)
    metadata: dict[str, Any] = {"uid": f"{document.kind}/{document.namespace}/{document.name}"}
    if document.kind not in _CLUSTER_SCOPED:
        metadata["namespace"] = document.namespace
    given = {key: value for key, value in document.content["metadata"].items() if value is not None}
    whole = replace(document, content={**document.content, "metadata": {**metadata, **given}})
    checked(model, whole)
    return whole

"""Constraints of volumes: where they are or can be made, how many a node takes, and who may use them."""

from __future__ import annotations

from differential.draft import Draft, Group
from differential.recipes_places import other_zone, pinned
from differential.registry import constraint
from differential.scenario import Json, Scenario, pod_specs
from spotkube.model import labels as keys

DRIVER = "csi.example.com"
# A shared volume is kept room for on every node, which may be more than it needs: its driver knows no limits here.
FILES = "files.example.com"
ATTACHABLE = f"attachable-volumes-csi-{DRIVER}"


def _storage_class(draft: Draft, **fields: object) -> str:
    name = f"class-{len(draft.others)}"
    made = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    defaults = {"provisioner": DRIVER, "volumeBindingMode": "WaitForFirstConsumer"}
    draft.others.append({**made, **defaults, **fields})
    return name


def _claim(draft: Draft, storage_class: str, mode: str = "ReadWriteOnce") -> Json:
    spec = {"storageClassName": storage_class, "accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": f"claim-{len(draft.others)}", "namespace": "default"}
    made = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
    draft.others.append(made)
    return made


def _volume(draft: Draft, claim: Json, **spec: Json) -> Json:
    """The volume that the claim is bound to."""
    driver = FILES if claim["spec"]["accessModes"] == ["ReadWriteMany"] else DRIVER
    name = f"volume-{len(draft.others)}"
    claim["spec"]["volumeName"] = name
    claim["metadata"]["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
    claim["status"] = {"phase": "Bound"}
    reference = {"kind": "PersistentVolumeClaim", "name": claim["metadata"]["name"], "namespace": "default"}
    made = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {}},
        "spec": {
            "storageClassName": claim["spec"]["storageClassName"],
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": "1Gi"},
            "claimRef": reference,
            "csi": {"driver": driver, "volumeHandle": name},
            **spec,
        },
        "status": {"phase": "Bound"},
    }
    draft.others.append(made)
    return made


def _mount(group: Group, *claims: Json | str) -> Group:
    """`claims` are claims, or the names of some that do not exist."""
    names = [claim if isinstance(claim, str) else claim["metadata"]["name"] for claim in claims]
    mounts = [{"name": f"v{n}", "persistentVolumeClaim": {"claimName": name}} for n, name in enumerate(names)]
    group.spec["volumes"] = mounts
    return group


def _in_zone(zone: str) -> Json:
    term = {"matchExpressions": [{"key": keys.ZONE, "operator": "In", "values": [zone]}]}
    return {"required": {"nodeSelectorTerms": [term]}}


def _volumes_anywhere(scenario: Scenario) -> None:
    for volume in scenario.of_kind("PersistentVolume"):
        volume["spec"].pop("nodeAffinity", None)


@constraint("volume-node-affinity", _volumes_anywhere)
def _node_affinity(draft: Draft) -> None:
    claim = _claim(draft, _storage_class(draft), "ReadWriteMany")
    _volume(draft, claim, nodeAffinity=_in_zone(other_zone(draft)))
    _mount(draft.group(), claim)


def _unlabelled_volumes(scenario: Scenario) -> None:
    for volume in scenario.of_kind("PersistentVolume"):
        volume["metadata"]["labels"] = {}


@constraint("volume-zone-label", _unlabelled_volumes)
def _zone_label(draft: Draft) -> None:
    claim = _claim(draft, _storage_class(draft), "ReadWriteMany")
    key = draft.rng.choice([keys.ZONE, "failure-domain.beta.kubernetes.io/zone"])
    _volume(draft, claim)["metadata"]["labels"] = {key: other_zone(draft)}
    _mount(draft.group(), claim)


def _made_anywhere(scenario: Scenario) -> None:
    for storage_class in scenario.of_kind("StorageClass"):
        storage_class.pop("allowedTopologies", None)


@constraint("volume-allowed-topologies", _made_anywhere)
def _allowed_topologies(draft: Draft) -> None:
    term = {"matchLabelExpressions": [{"key": keys.ZONE, "values": [other_zone(draft)]}]}
    storage_class = _storage_class(draft, allowedTopologies=[term])
    for _ in range(draft.rng.randint(1, 2)):
        _mount(draft.group(1), _claim(draft, storage_class))


def _bound_late(scenario: Scenario) -> None:
    for storage_class in scenario.of_kind("StorageClass"):
        storage_class["volumeBindingMode"] = "WaitForFirstConsumer"


@constraint("volume-unbound-immediate", _bound_late)
def _immediate(draft: Draft) -> None:
    _mount(draft.group(), _claim(draft, _storage_class(draft, volumeBindingMode="Immediate")))


def _no_volumes(scenario: Scenario) -> None:
    for spec in pod_specs(scenario, running=False):
        spec.pop("volumes", None)


@constraint("volume-claim-missing", _no_volumes)
def _missing(draft: Draft) -> None:
    _mount(draft.group(), "nowhere")


@constraint("volume-shared-before-it-is-bound", _no_volumes)
def _shared(draft: Draft) -> None:
    """The first pod binds the claim in its zone; anti-affinity keeps the second one out of that zone."""
    group = _mount(draft.group(2), _claim(draft, _storage_class(draft, provisioner=FILES), "ReadWriteMany"))
    group.affinity("podAntiAffinity").append(
        {"topologyKey": keys.ZONE, "labelSelector": {"matchLabels": {"group": group.name}}}
    )


def _shared_by_many(scenario: Scenario) -> None:
    for claim in (*scenario.of_kind("PersistentVolumeClaim"), *scenario.of_kind("PersistentVolume")):
        claim["spec"]["accessModes"] = ["ReadWriteMany"]


@constraint("volume-read-write-once-pod", _shared_by_many)
def _once_pod(draft: Draft) -> None:
    claim = _claim(draft, _storage_class(draft), "ReadWriteOncePod")
    _volume(draft, claim)
    _mount(draft.group(2), claim)


def _no_csi_nodes(scenario: Scenario) -> None:
    scenario.objects[:] = [one for one in scenario.objects if one["kind"] != "CSINode"]


@constraint("volume-limits", _no_csi_nodes)
def _limits(draft: Draft) -> None:
    """A node that takes one or two volumes, and pods that may go nowhere else."""
    node, storage_class = draft.node(), _storage_class(draft)
    draft.others.append(csi_node(node["metadata"]["name"], draft.rng.randint(1, 2)))
    for _ in range(3):
        claim = _claim(draft, storage_class)
        if draft.rng.random() < 0.5:
            _volume(draft, claim)
        _mount(pinned(draft, node), claim)


def _any_number_attached(scenario: Scenario) -> None:
    for row in scenario.offerings:
        row["allocatable"].pop(ATTACHABLE, None)


@constraint("volume-limits-of-new-nodes", _any_number_attached)
def _limits_of_new_nodes(draft: Draft) -> None:
    for row in draft.offerings:
        row["allocatable"][ATTACHABLE] = 2
    storage_class = _storage_class(draft)
    for _ in range(3):
        group = _mount(draft.group(1, cpu="100m"), _claim(draft, storage_class))
        group.require(keys.INSTANCE_CPU, "Gt", "1")  # only new nodes have the label


def csi_node(name: str, count: int) -> Json:
    """That the node takes so many volumes of the driver."""
    driver = {"name": DRIVER, "nodeID": name, "topologyKeys": [keys.ZONE], "allocatable": {"count": count}}
    metadata = {"name": name}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSINode",
        "metadata": metadata,
        "spec": {"drivers": [driver]},
    }

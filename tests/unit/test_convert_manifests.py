"""From manifests to a Snapshot, and what is said about manifests that can't be read."""

import io
from collections import Counter
from pathlib import Path

import pytest

from builders import make_offering
from spotkube.convert.documents import ManifestError, Mistakes, read_documents
from spotkube.convert.manifests import Manifests, to_snapshot
from spotkube.model.cluster import Mode
from spotkube.model.pods import HostPort

DATA = Path(__file__).parent.parent / "data" / "manifests"
CONTAINERS = "containers: [{name: main, resources: {requests: {cpu: 100m}}}]"


def read(text: str) -> Manifests:
    return sound(["-"], text)


def read_file(name: str) -> Manifests:
    return sound([str(DATA / name)])


def sound(sources: list[str], text: str = "") -> Manifests:
    """Raises ManifestError."""
    manifests, mistakes = read_what_can_be(sources, text)
    mistakes.raise_if_any()
    return manifests


def read_what_can_be(sources: list[str], text: str = "") -> tuple[Manifests, Mistakes]:
    mistakes = Mistakes()
    return to_snapshot(read_documents(sources, io.StringIO(text), mistakes), [make_offering()], mistakes), mistakes


def deployment(name: str = "web", replicas: str = "replicas: 2", spec: str = CONTAINERS, metadata: str = "") -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}{metadata}}}
spec:
  {replicas}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      {spec}
"""


def complaint(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        read(text)
    return str(caught.value)


def owners(manifests: Manifests) -> Counter[str]:
    return Counter(f"{pod.namespace}/{pod.owner}" for pod in manifests.snapshot.pods)


class TestRealManifests:
    def test_a_web_shop(self) -> None:
        manifests = read_file("bookshop.yaml")
        assert owners(manifests) == {
            "bookshop/Deployment/storefront": 6,
            "bookshop/Deployment/search": 2,
            "bookshop/Deployment/mail": 1,
            "bookshop/StatefulSet/orders-db": 3,
            "bookshop/CronJob/nightly-report": 4,
        }
        storefront = next(pod for pod in manifests.snapshot.pods if pod.owner == "Deployment/storefront")
        # The init container that warms the cache is larger than what runs later; the proxy started after it.
        assert storefront.shape.requests["cpu"] == 1000
        assert storefront.shape.requests["memory"] == 150_000_000 + (128 + 64) * 1024**2
        assert len(storefront.shape.spread) == 1
        assert sorted(pod.name for pod in manifests.snapshot.pods if "orders" in pod.name)[0] == "orders-db-0"
        assert any("2 Service (v1)" in note for note in manifests.notes)

    def test_work_in_our_own_terms(self) -> None:
        manifests = read_file("render-farm.yaml")
        snapshot = manifests.snapshot
        assert Counter(pod.workload for pod in snapshot.pods) == {"render/frames": 24, "render/preview": 3}
        rules = {rule.key: (rule.replicas, rule.spot.on_demand_base) for rule in snapshot.workloads}
        assert rules == {"render/frames": (24, 0), "render/preview": (3, 1)}
        assert [(pool.name, pool.mode) for pool in snapshot.pools] == [("render", Mode.APPLY)]
        assert snapshot.daemonsets[0].shape.host_ports == (HostPort(9100),)
        assert manifests.notes == ()

    def test_a_dump_of_a_cluster_counts_no_pod_twice(self) -> None:
        snapshot = read_file("cluster-dump.json").snapshot
        assert [(pod.name, pod.node) for pod in snapshot.pods] == [
            ("api-6d4f-x1", "worker-1"),
            ("api-2", None),
            ("api-3", None),
        ]
        assert snapshot.nodes[0].allocatable["cpu"] == 3920

    def test_a_folder_and_a_pattern_read_each_file_once(self) -> None:
        both = read_documents([str(DATA), str(DATA / "*.yaml")], io.StringIO(), Mistakes())
        assert len(both) == len(read_documents([str(DATA)], io.StringIO(), Mistakes()))


def test_documents_lists_and_json_after_json() -> None:
    item = f"- apiVersion: v1\n  kind: Pod\n  metadata: {{name: one}}\n  spec: {{{CONTAINERS}}}\n"
    as_list = f"apiVersion: v1\nkind: List\nitems:\n{item}"
    assert len(read(f"---\n---\n{as_list}---\n{deployment()}").snapshot.pods) == 3
    pod = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "%s"}, "spec": {"containers": [{"name": "m"}]}}\n'
    assert [p.name for p in read((pod % "a") + (pod % "b")).snapshot.pods] == ["a", "b"]


def test_items_of_a_typed_list_need_no_kind() -> None:
    text = (
        "apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: web}\n  spec: {template: {spec: {%s}}}\n"
    )
    assert owners(read(text % CONTAINERS)) == {"default/Deployment/web": 1}


def test_the_same_kind_of_another_group_is_left_out_and_said() -> None:
    manifests = read(deployment() + "---\napiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: p}\nspec: {}\n")
    assert any("1 NodePool (karpenter.sh/v1)" in note for note in manifests.notes)
    assert any("a pool over the whole catalog is assumed" in note for note in manifests.notes)


def test_jobs_and_cron_jobs() -> None:
    job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: %s}\nspec: {%s template: {spec: {%s}}}\n%s---\n"
    done = "status: {conditions: [{type: Complete, status: 'True'}]}\n"
    text = (
        job % ("plain", "", CONTAINERS, "")
        + job % ("wide", "completions: 3, parallelism: 8,", CONTAINERS, "")
        + job % ("half", "completions: 3, parallelism: 8,", CONTAINERS, "status: {succeeded: 2}\n")
        + job % ("queue", "parallelism: 5,", CONTAINERS, "")
        + job % ("done", "parallelism: 5,", CONTAINERS, done)
        + "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: asleep}\n"
        + f"spec: {{suspend: true, jobTemplate: {{spec: {{template: {{spec: {{{CONTAINERS}}}}}}}}}}}\n"
    )
    manifests = read(text)
    assert owners(manifests) == {
        "default/Job/plain": 1,
        "default/Job/wide": 3,
        "default/Job/half": 1,
        "default/Job/queue": 5,
    }
    assert any("CronJob asleep" in note for note in manifests.notes)


def test_roles_of_a_workload_make_their_pods_less_those_that_are_there() -> None:
    job = f"template: {{spec: {{restartPolicy: Never, {CONTAINERS}}}}}"
    manifests = read(f"""
apiVersion: spotkube.io/v1alpha1
kind: Workload
metadata: {{name: train}}
spec:
  roles:
  - {{name: leader, job: {{{job}}}}}
  - {{name: workers, job: {{completions: 4, parallelism: 3, {job}}}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: train-workers-x
  labels: {{spotkube.io/workload: train}}
  ownerReferences: [{{apiVersion: batch/v1, kind: Job, name: train-workers, uid: u, controller: true}}]
spec: {{{CONTAINERS}}}
""")

    assert owners(manifests) == {
        "default/Job/train-workers": 1,
        "default/Workload/train-leader": 1,
        "default/Workload/train-workers": 2,
    }
    assert {pod.workload for pod in manifests.snapshot.pods} == {"default/train"}
    assert [rule.replicas for rule in manifests.snapshot.workloads] == [4]


def test_a_mistake_in_a_role_is_found_where_it_is() -> None:
    pods = "template: {spec: {restartPolicy: Never, containers: [{name: a, resources: {requests: {cpu: x}}}]}}"
    words = complaint(f"""
apiVersion: spotkube.io/v1alpha1
kind: Workload
metadata: {{name: train}}
spec: {{roles: [{{name: leader, job: {{{pods}}}}}]}}
""")

    assert "spec.roles[0].job.template.spec.containers[0].resources.requests" in words


def test_pods_with_gates_of_others_are_said() -> None:
    manifests = read(deployment(spec=CONTAINERS + "\n      schedulingGates: [{name: example.com/quota}]"))
    assert any("2 pods have scheduling gates of others" in note for note in manifests.notes)


def test_pods_of_other_schedulers_are_said() -> None:
    manifests = read(deployment(spec=CONTAINERS + "\n      schedulerName: volcano"))
    (note,) = [note for note in manifests.notes if "a scheduler of their own" in note]
    assert note.startswith("2 pods have a scheduler of their own, such as")
    assert "(volcano)" in note


def test_pods_elsewhere_are_not_counted() -> None:
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{nodeName: gone, {CONTAINERS}}}\n"
    manifests = read(pod)
    assert manifests.snapshot.pods == ()
    assert any("1 pods run on nodes that are not in these files" in note for note in manifests.notes)


def test_a_node_by_hand_is_ready_and_takes_pods() -> None:
    (node,) = read(
        deployment()
        + "---\napiVersion: v1\nkind: Node\nmetadata: {name: n}\nstatus: {capacity: {cpu: 2, memory: 4Gi}}\n"
    ).snapshot.nodes
    assert (node.ready, node.allocatable["pods"], node.allocatable["cpu"]) == (True, 110, 2000)


def test_times_without_quotes_stay_text() -> None:
    read(deployment(metadata=", creationTimestamp: 2026-01-05T10:00:00Z"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ .Values.name }}: 1", ["standard input", "neither YAML nor JSON", "helm template"]),
        ("- a\n- b", ["document 1", "is ['a', 'b']", "a manifest is a map"]),
        ("apiVersion: v1\nmetadata: {}", ["document 1", "kind: None", "add one"]),
        # As `cat a.yaml b.yaml` makes them.
        (deployment() + deployment("b"), ["document 1: apiVersion is given twice; write --- on a line of its own"]),
        (deployment(replicas="replicas: three"), ["(Deployment web): spec.replicas: 'three' is no number"]),
        (deployment(replicas="replicas: -1"), ["spec.replicas: -1 is out of range; give at least 0"]),
        (
            deployment(spec="containers: [{name: main, resources: {requests: {cpu: 5oo}}}]"),
            ["spec.template.spec.containers[0].resources.requests: cpu: '5oo' is no quantity; write it as in 500m"],
        ),
        (
            deployment(spec="containers: [{name: main, resources: {requests: {cpu: 2}, limits: {cpu: 1500m}}}]"),
            ["containers[0].resources: requests: cpu: 2 is above its limit of '1500m'; lower it"],
        ),
        (deployment(metadata=", creationTimestamp: soon"), ["metadata.creationTimestamp: 'soon' is no time; write it"]),
        (
            deployment(spec="containers: [{name: main, ports: [{containerPort: 80, hostPort: 65536}]}]"),
            ["containers[0].ports[0].hostPort: 65536 is out of range; give at most 65535"],
        ),
        (deployment(spec="containers: []"), ["spec.template.spec.containers: [] is too short; give at least 1"]),
        (deployment(spec="volumes: []"), ["spec.template.spec.containers: is missing; add it"]),
        (
            deployment(spec=CONTAINERS + "\n      nodeSelector: {example.com/ssd: true}"),
            ["spec.template.spec.nodeSelector[example.com/ssd]: True is no text; put it in quotes"],
        ),
        (
            deployment(spec=CONTAINERS + "\n      tolerations: [{operator: Equals}]"),
            ["tolerations[0].operator: 'Equals' is not known; use 'Equal' or 'Exists'"],
        ),
        (deployment() + "---" + deployment(), ["document 2 (Deployment web): is given twice, first in", "document 1"]),
        (
            "apiVersion: spotkube.io/v1alpha1\nkind: Workload\nmetadata: {name: w}\n"
            "spec: {targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}",
            ["spec.targetRef.name: 'web': there is no such Deployment in namespace default of these files; add it"],
        ),
        (
            "apiVersion: spotkube.io/v1alpha1\nkind: Workload\nmetadata: {name: w}\n"
            "spec: {job: {template: {spec: {restartPolicy: Never, "
            "containers: [{name: m, resources: {limits: {cpu: x}}}]}}}}",
            ["spec.job.template.spec.containers[0].resources.limits: cpu: 'x'"],
        ),
        (
            "apiVersion: spotkube.io/v1alpha1\nkind: NodePool\nmetadata: {name: p}\nspec: {limit: {}}",
            ["(NodePool p): spec.limit:", "correct its name"],
        ),
        (
            "apiVersion: spotkube.io/v1alpha1\nkind: NodePool\nmetadata: {name: p}\nspec: {limits: {nodes: 1.5}}",
            ["(NodePool p): spec.limits.nodes: 1.5 is no whole number; write one, without quotes"],
        ),
        ("apiVersion: spotkube.io/v1alpha1\nkind: NodePool\nspec: {}", ["metadata: is missing; add it"]),
        (
            "apiVersion: spotkube.io/v1alpha1\nkind: Wrokload\nmetadata: {name: w}\nspec: {}",
            ["(Wrokload w): kind: 'Wrokload' is none of spotkube.io; use CapacityPlan, FairQueue, NodeClaim, NodePool"],
        ),
        ("apiVersion: v1\nkind: Node\nmetadata: {name: n}\nstatus: {}", ["status.allocatable: is missing; give cpu"]),
    ],
)
def test_mistakes_name_place_field_value_and_remedy(text: str, words: list[str]) -> None:
    said = complaint(text)
    for word in words:
        assert word in said


def test_what_makes_pods_and_is_not_read_is_told_apart_from_what_makes_none() -> None:
    rollout = deployment("canary").replace("apps/v1", "argoproj.io/v1alpha1").replace("Deployment", "Rollout")
    prometheus = "apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: k8s}\nspec: {replicas: 2}"
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}"
    manifests = read("\n---\n".join([deployment(), rollout, prometheus, service]))

    assert owners(manifests) == {"default/Deployment/web": 2}
    unread = "1 Prometheus (monitoring.coreos.com/v1), 1 Rollout (argoproj.io/v1alpha1)"
    assert f"NOT PLANNED, since it is not known how many pods these kinds make: {unread}" in manifests.notes
    assert "left out, since these kinds are not read: 1 Service (v1)" in manifests.notes


def test_pods_that_request_nothing_are_told() -> None:
    """Else a misspelt `resources`, which kubectl would refuse, looks like a cheap plan."""
    misspelt = deployment("db", spec="containers: [{name: main, resorces: {requests: {cpu: 2}}}]")
    note = "2 pods request neither cpu nor memory, such as default/db-1: they are taken to need none"
    assert note in read("\n---\n".join([deployment(), misspelt])).notes
    assert not any("request neither" in one for one in read(deployment()).notes)


def test_a_replication_controller_makes_pods() -> None:
    text = deployment("old").replace("apps/v1", "v1").replace("Deployment", "ReplicationController")
    assert owners(read(text)) == {"default/ReplicationController/old": 2}


def test_names_that_the_api_server_would_generate_are_told_apart() -> None:
    spec = f"{{template: {{spec: {{{CONTAINERS}}}}}}}"
    job = f"apiVersion: batch/v1\nkind: Job\nmetadata: {{generateName: migrate-}}\nspec: {spec}"
    made = owners(read(f"{job}\n---\n{job}"))
    assert len(made) == 2
    assert all(owner.startswith("default/Job/migrate-") for owner in made)


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    for source, words in [
        (str(tmp_path / "none.yaml"), "there is no such file"),
        (str(tmp_path / "*.yaml"), "no file matches"),
        (str(tmp_path), "file in this folder"),
    ]:
        mistakes = Mistakes()
        assert read_documents([source], io.StringIO(), mistakes) == []
        [line] = mistakes.lines
        assert words in line


class TestTheRestIsRead:
    """One mistake costs what it stands in, and nothing else."""

    @pytest.mark.parametrize(
        ("bad", "words"),
        [
            (deployment("bad", "replicas: -1"), "spec.replicas: -1 is out of range"),
            (deployment("bad", spec="containers: [{name: main, resources: {requests: {cpu: lots}}}]"), "lots"),
            (deployment("good"), "is given twice"),
            ("apiVersion: v1\nkind: Node\nmetadata: {name: n}\nstatus: {}", "status.allocatable: is missing"),
            ("apiVersion: v1\nkind: Pod\nmetadata: {name: bad}", "spec: is missing"),
            ("[1, 2]", "a manifest is a map"),
            ("kind: 3", "names no kind"),
        ],
    )
    def test_beside_a_bad_document(self, bad: str, words: str) -> None:
        manifests, mistakes = read_what_can_be(["-"], f"{deployment('good')}\n---\n{bad}\n---\n{deployment('last')}")
        assert owners(manifests) == {"default/Deployment/good": 2, "default/Deployment/last": 2}
        [line] = mistakes.lines
        assert words in line
        assert line.startswith("standard input, document 2")

    def test_beside_a_bad_item_of_a_list(self) -> None:
        pod = f"{{apiVersion: v1, kind: Pod, metadata: {{name: good}}, spec: {{{CONTAINERS}}}}}"
        manifests, mistakes = read_what_can_be(["-"], f"{{apiVersion: v1, kind: List, items: [7, {pod}]}}")
        assert len(manifests.snapshot.pods) == 1
        assert "items[0]" in mistakes.lines[0]

    def test_beside_a_bad_file_and_a_missing_one(self, tmp_path: Path) -> None:
        (tmp_path / "bad.yaml").write_text("kind: [")
        (tmp_path / "good.yaml").write_text(deployment("good"))
        manifests, mistakes = read_what_can_be([str(tmp_path), "none.yaml"])
        assert owners(manifests) == {"default/Deployment/good": 2}
        assert len(mistakes.lines) == 2

    def test_a_bad_node_pool_does_not_open_the_whole_catalog(self) -> None:
        pool = "apiVersion: spotkube.io/v1alpha1\nkind: NodePool\nmetadata: {name: bad}\nspec: {mode: Never}"
        manifests, mistakes = read_what_can_be(["-"], f"{deployment('good')}\n---\n{pool}")
        assert manifests.snapshot.pools == ()
        assert "spec.mode" in mistakes.lines[0]

    def test_a_bad_target_leaves_the_other_workloads(self) -> None:
        spec = "spec: {targetRef: {apiVersion: apps/v1, kind: Deployment, name: NAME}}"
        workload = f"apiVersion: spotkube.io/v1alpha1\nkind: Workload\nmetadata: {{name: NAME}}\n{spec}"
        texts = [deployment("good"), workload.replace("NAME", "good"), workload.replace("NAME", "gone")]
        manifests, mistakes = read_what_can_be(["-"], "\n---\n".join(texts))
        assert {pod.workload for pod in manifests.snapshot.pods} == {"default/good"}
        assert "there is no such Deployment" in mistakes.lines[0]


CLAIM = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}"


class TestVolumes:
    SPEC = CONTAINERS + "\n      volumes: [{name: a, persistentVolumeClaim: {claimName: data}}]"

    def test_a_claim_that_is_not_in_the_files(self) -> None:
        manifests = read(deployment(spec=self.SPEC))
        assert {pod.shape.refused for pod in manifests.snapshot.pods} == {
            "PersistentVolumeClaim default/data does not exist: create it"
        }

    def test_without_a_storage_class_volumes_are_made_anywhere_and_that_is_told(self) -> None:
        manifests = read(f"{deployment(spec=self.SPEC)}---\n{CLAIM}")
        assert not any(pod.shape.refused or pod.shape.volume_terms for pod in manifests.snapshot.pods)
        assert any("no StorageClass in these files" in note for note in manifests.notes)

    def test_a_stateful_sets_pods_have_claims_of_their_own(self) -> None:
        text = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  ordinals: {start: 3}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {storageClassName: fast}}]
  template: {spec: {containers: [{name: main}]}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: ebs.csi.aws.com
volumeBindingMode: WaitForFirstConsumer
allowedTopologies: [{matchLabelExpressions: [{key: topology.kubernetes.io/zone, values: [zone-a]}]}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data-db-4}
spec: {volumeName: pv}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv, labels: {topology.kubernetes.io/zone: zone-b}}
spec: {csi: {driver: ebs.csi.aws.com, volumeHandle: vol-1}}
"""
        first, second = sorted(read(text).snapshot.pods, key=lambda pod: pod.name)
        assert [(pod.name, pod.claims[0].name) for pod in (first, second)] == [
            ("db-3", "data-db-3"),
            ("db-4", "data-db-4"),
        ]
        assert "zone-a" in str(first.shape.volume_terms)
        assert "zone-b" in str(second.shape.volume_terms)
        assert second.volumes == (("ebs.csi.aws.com", "vol-1"),)

    def test_a_csi_node_limits_its_node(self) -> None:
        text = """
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {allocatable: {cpu: 4, memory: 8Gi}}
---
apiVersion: storage.k8s.io/v1
kind: CSINode
metadata: {name: n1}
spec: {drivers: [{name: ebs.csi.aws.com, nodeID: i-1, allocatable: {count: 25}}]}
"""
        (node,) = read(text).snapshot.nodes
        assert node.volume_limits == (("ebs.csi.aws.com", 25),)

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            ("{capacity: {storage: much}}", "spec.capacity: storage: 'much' is no quantity"),
            ("{volumeMode: Tape}", "spec.volumeMode: 'Tape' is not known; use 'Filesystem' or 'Block'"),
            ("{csi: {volumeHandle: a}}", "spec.csi.driver: is missing; add it"),
        ],
    )
    def test_mistakes_in_a_volume(self, spec: str, words: str) -> None:
        assert words in complaint(f"{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: a}}, spec: {spec}}}")


class TestAdmission:
    def test_classes_in_the_files_count_for_every_pod(self) -> None:
        text = """
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 1000}
---
{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: kata}, overhead: {podFixed: {cpu: 1}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: bare}, spec: {priorityClassName: high, containers: [{name: main}]}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec: {template: {spec: {runtimeClassName: kata, containers: [{name: main}]}}}
---
"""
        both = f"priorityClassName: high\n      runtimeClassName: kata\n      {CONTAINERS}"
        snapshot = read(text + deployment(spec=both)).snapshot
        assert {pod.shape.priority for pod in snapshot.pods} == {1000}
        assert {pod.shape.requests["cpu"] for pod in snapshot.pods} == {1100, 0}
        assert snapshot.daemonsets[0].shape.requests["cpu"] == 1000

    def test_one_that_is_not_there_is_told(self) -> None:
        manifests = read(deployment(spec=f"priorityClassName: high\n      {CONTAINERS}"))
        assert "PriorityClass high is not in these files: what it gives to pods is not counted" in manifests.notes

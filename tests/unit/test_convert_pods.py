"""Requests and rules of pods, read from their JSON form."""

from typing import Any

import pytest

from spotkube.convert.pods import to_daemonset, to_pod, to_shape
from spotkube.convert.requests import pod_requests
from spotkube.model import labels as keys
from spotkube.model.pods import ALL_NAMESPACES, HostPort
from spotkube.model.resources import MAX_AMOUNT, parse_amount
from spotkube.model.selectors import LabelSelector, Operator, Requirement

MI = 1024**2


def container(cpu: str | float | None = None, memory: str | None = None, **more: Any) -> dict[str, Any]:
    requests = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value is not None}
    return {"name": "main", "resources": {"requests": requests}, **more}


def sidecar(cpu: str) -> dict[str, Any]:
    return container(cpu, restartPolicy="Always")


@pytest.mark.parametrize(
    ("quantity", "bytes_"),
    [
        ("1", 1), ("1k", 1000), ("1Ki", 1024), ("1M", 10**6), ("1.5Gi", 1536 * MI), ("1e3", 1000), ("5E3", 5000),
        (".5Ki", 512), ("5.", 5), ("100m", 1), ("1500m", 2), ("1n", 1), ("2T", 2 * 10**12), (0.1, 1), (1289, 1289),
    ],
)  # fmt: skip
def test_quantities_round_up_to_whole_units(quantity: Any, bytes_: int) -> None:
    assert parse_amount("memory", quantity) == bytes_


@pytest.mark.parametrize(
    ("cpu", "milli"), [(0.1, 100), (0.3, 300), (1.1, 1100), ("0.1", 100), ("1m", 1), ("100u", 1), (2, 2000)]
)
def test_cpu_as_a_float_is_what_is_written(cpu: Any, milli: int) -> None:
    assert parse_amount("cpu", cpu) == milli


@pytest.mark.parametrize(
    "quantity", ["", " 1", "1 Gi", "1_000", "1e2Ki", "NaN", "inf", "1K", "abc", True, None, "-1", "1e30"]
)
def test_what_is_no_amount_is_refused_by_name(quantity: Any) -> None:
    with pytest.raises(ValueError, match=r"^memory: .*; "):
        parse_amount("memory", quantity)


class TestRequests:
    def test_containers_add_up_and_the_pod_counts_as_one(self) -> None:
        requests = pod_requests({"containers": [container("1", "64Mi"), container("500m")]})
        assert dict(requests) == {"cpu": 1500, "memory": 64 * MI, "pods": 1}

    def test_a_pod_without_any_requests_is_still_one_pod(self) -> None:
        assert dict(pod_requests({"containers": [{"name": "main"}]})) == {"pods": 1}

    def test_only_limits_become_requests(self) -> None:
        limited = {"name": "main", "resources": {"limits": {"cpu": "2", "memory": "1Mi"}, "requests": {"cpu": "1"}}}
        assert dict(pod_requests({"containers": [limited]})) == {"cpu": 1000, "memory": MI, "pods": 1}

    def test_an_init_container_that_is_larger_counts(self) -> None:
        assert pod_requests({"initContainers": [container("3")], "containers": [container("1")]})["cpu"] == 3000

    def test_a_sidecar_counts_beside_containers_and_later_init_containers(self) -> None:
        spec = {"initContainers": [sidecar("1"), container("3")], "containers": [container("500m")]}
        assert pod_requests(spec)["cpu"] == 4000
        spec = {"initContainers": [container("3"), sidecar("1")], "containers": [container("2500m")]}
        assert pod_requests(spec)["cpu"] == 3500

    def test_requests_of_the_pod_replace_the_sum_and_limits_only_fill_in(self) -> None:
        spec = {"containers": [container("1")], "resources": {"requests": {"cpu": "3"}}}
        assert pod_requests(spec)["cpu"] == 3000
        spec = {"containers": [container("1")], "resources": {"limits": {"cpu": "4", "memory": "8Mi"}}}
        assert dict(pod_requests(spec)) == {"cpu": 1000, "memory": 8 * MI, "pods": 1}

    def test_requests_of_the_pod_are_of_cpu_memory_and_huge_pages_only(self) -> None:
        spec = {"containers": [container("1")], "resources": {"requests": {"cpu": "3", "example.com/fpga": "1"}}}
        assert dict(pod_requests(spec)) == {"cpu": 3000, "pods": 1}

    def test_a_container_that_asks_for_zero_has_asked(self) -> None:
        spec = {"containers": [container("0")], "resources": {"limits": {"cpu": "4"}}}
        assert dict(pod_requests(spec)) == {"pods": 1}

    def test_the_pods_limit_of_huge_pages_is_its_request(self) -> None:
        pages = {"name": "main", "resources": {"limits": {"hugepages-2Mi": "4Mi"}}}
        assert pod_requests({"containers": [pages]})["hugepages-2Mi"] == 4 * MI
        whole = {"resources": {"limits": {"hugepages-2Mi": "8Mi"}}}
        assert pod_requests({"containers": [pages], **whole})["hugepages-2Mi"] == 8 * MI

    def test_resources_of_every_kind(self) -> None:
        amounts = {"nvidia.com/gpu": 1, "ephemeral-storage": "1Gi", "example.com/fpga": "2", "hugepages-1Gi": "1Gi"}
        one = {"name": "main", "resources": {"limits": amounts}}
        assert dict(pod_requests({"containers": [one, one]})) == {
            "nvidia.com/gpu": 2, "ephemeral-storage": 2048 * MI, "example.com/fpga": 4, "hugepages-1Gi": 2048 * MI,
            "pods": 1,
        }  # fmt: skip

    def test_an_empty_dir_asks_for_nothing(self) -> None:
        volumes = [{"name": "tmp", "emptyDir": {"sizeLimit": "10Gi"}}]
        assert dict(pod_requests({"containers": [container("1")], "volumes": volumes})) == {"cpu": 1000, "pods": 1}

    def test_more_than_there_can_be_is_as_much_as_there_can_be(self) -> None:
        """Kubernetes takes such a pod: it fits nowhere, and is no reason to plan nothing else."""
        assert pod_requests({"containers": [container("1e18")]})["cpu"] == MAX_AMOUNT

    def test_overhead_comes_on_top(self) -> None:
        assert pod_requests({"containers": [container("1")], "overhead": {"cpu": "250m"}})["cpu"] == 1250

    def test_a_mistake_names_its_container(self) -> None:
        with pytest.raises(ValueError, match="container 'main': cpu: 'two'"):
            pod_requests({"containers": [container("two")]})


class TestResize:
    """KEP-1287: what a container asks for may change while it runs."""

    def status(self, has: str, promised: str, **more: Any) -> dict[str, Any]:
        one = {"name": "main", "resources": {"requests": {"cpu": has}}, "allocatedResources": {"cpu": promised}}
        return {"containerStatuses": [one], **more}

    @pytest.mark.parametrize(("has", "promised", "milli"), [("1", "1", 2000), ("3", "2", 3000), ("1", "4", 4000)])
    def test_the_largest_counts(self, has: str, promised: str, milli: int) -> None:
        assert pod_requests({"containers": [container("2")]}, self.status(has, promised))["cpu"] == milli

    @pytest.mark.parametrize(("reason", "milli"), [("Infeasible", 1500), ("Deferred", 9000)])
    def test_what_is_infeasible_is_not_waited_for(self, reason: str, milli: int) -> None:
        condition = {"type": "PodResizePending", "status": "True", "reason": reason}
        status = self.status("1", "1500m", conditions=[condition])
        assert pod_requests({"containers": [container("9")]}, status)["cpu"] == milli

    def test_a_status_without_resources_says_nothing(self) -> None:
        status = {"containerStatuses": [{"name": "main", "allocatedResources": {"cpu": "9"}}]}
        assert pod_requests({"containers": [container("2")]}, status)["cpu"] == 2000

    def test_sidecars_are_resized_and_init_containers_are_not(self) -> None:
        status = {"initContainerStatuses": [{"name": "main", "resources": {"requests": {"cpu": "5"}}}]}
        assert pod_requests({"initContainers": [sidecar("1")], "containers": []}, status)["cpu"] == 5000
        assert pod_requests({"initContainers": [container("1")], "containers": []}, status)["cpu"] == 1000

    def test_the_pod_as_a_whole(self) -> None:
        spec = {"containers": [container("1")], "resources": {"requests": {"cpu": "2"}}}
        status = {"resources": {"requests": {"cpu": "3"}}, "allocatedResources": {"cpu": "2500m"}}
        assert pod_requests(spec, status)["cpu"] == 3000

    def test_only_a_pod_with_a_node_is_resized(self) -> None:
        raw = pod(status=self.status("3", "3"))
        raw["spec"] = {"containers": [container("2")]}
        waiting, running = to_pod(raw), to_pod({**raw, "spec": {**raw["spec"], "nodeName": "a"}})
        assert waiting is not None and running is not None
        assert (waiting.shape.requests["cpu"], running.shape.requests["cpu"]) == (2000, 3000)


def shape(**spec: Any) -> Any:
    return to_shape("shop", {"app": "web", "pod-template-hash": "abc"}, {"containers": [container()], **spec})


class TestShape:
    def test_a_required_node_affinity_without_terms_matches_nothing(self) -> None:
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}
        (term,) = shape(affinity={"nodeAffinity": required}).affinity_terms
        assert not all(requirement.matches({"metadata.name": "any"}) for requirement in term)

    def test_preferences_are_passed_over(self) -> None:
        preferred = "preferredDuringSchedulingIgnoredDuringExecution"
        affinity = {"nodeAffinity": {preferred: []}, "podAffinity": {preferred: []}, "podAntiAffinity": {preferred: []}}
        assert shape(affinity=affinity) == shape()

    def test_soft_spreads_are_passed_over_and_one_without_selector_asks_for_its_label_alone(self) -> None:
        soft = {"maxSkew": 1, "topologyKey": keys.ZONE, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
        void = {"maxSkew": 1, "topologyKey": keys.ZONE, "whenUnsatisfiable": "DoNotSchedule"}
        read = shape(topologySpreadConstraints=[soft, void])
        assert [rule.selector for rule in read.spread] == [None]
        assert read.topology_keys == {keys.ZONE}

    def test_policies_of_a_spread(self) -> None:
        rule = {"maxSkew": 1, "topologyKey": keys.ZONE, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
        other = {**rule, "nodeAffinityPolicy": "Ignore", "nodeTaintsPolicy": "Honor"}
        read = shape(topologySpreadConstraints=[rule, other]).spread
        assert [(one.honor_affinity, one.honor_taints) for one in read] == [(True, False), (False, True)]

    def test_match_label_keys_add_the_pods_own_value(self) -> None:
        rule = {
            "maxSkew": 2,
            "topologyKey": keys.HOSTNAME,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}},
            "matchLabelKeys": ["pod-template-hash", "absent"],
            "minDomains": 3,
        }
        (spread,) = shape(topologySpreadConstraints=[rule]).spread
        assert (spread.max_skew, spread.min_domains) == (2, 3)
        expected = (Requirement("app", Operator.IN, ("web",)), Requirement("pod-template-hash", Operator.IN, ("abc",)))
        assert spread.selector == LabelSelector(expected)

    def test_anti_affinity_means_its_own_namespace_unless_told(self) -> None:
        term = {"topologyKey": keys.HOSTNAME, "labelSelector": {"matchLabels": {"app": "web"}}}
        affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        assert shape(affinity=affinity).anti_affinity[0].namespaces == {"shop"}
        term["namespaceSelector"] = {}
        assert shape(affinity=affinity).anti_affinity[0].within({}).namespaces == ALL_NAMESPACES
        term["namespaceSelector"] = {"matchLabels": {"team": "a"}}
        term["namespaces"] = ["named"]
        known = {"mine": {"team": "a"}, "other": {"team": "b"}, "shop": {}}
        assert shape(affinity=affinity).anti_affinity[0].within(known).namespaces == {"named", "mine"}

    def test_keys_that_have_to_match_and_not_to_match(self) -> None:
        term = {
            "topologyKey": keys.ZONE,
            "labelSelector": {"matchLabels": {"app": "web"}},
            "matchLabelKeys": ["app"],
            "mismatchLabelKeys": ["pod-template-hash"],
        }
        affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        (read,) = shape(affinity=affinity).affinity
        assert read.selector == LabelSelector(
            (Requirement("app", Operator.IN, ("web",)), Requirement("pod-template-hash", Operator.NOT_IN, ("abc",)))
        )

    def test_ports_of_the_host(self) -> None:
        udp = {"containerPort": 53, "hostPort": 53, "protocol": "UDP"}
        ports = [{"containerPort": 80}, {"containerPort": 90, "hostPort": 9090, "hostIP": "10.0.0.1"}, udp]
        assert shape(containers=[container(ports=ports)]).host_ports == (
            HostPort(53, "UDP"),
            HostPort(9090, address="10.0.0.1"),
        )

    def test_on_the_hosts_network_every_port_is_one(self) -> None:
        spec = {"hostNetwork": True, "containers": [container(ports=[{"containerPort": 80}])]}
        assert shape(**spec).host_ports == (HostPort(80),)

    def test_ports_of_sidecars_count_and_those_of_init_containers_do_not(self) -> None:
        ports = [{"containerPort": 1, "hostPort": 1}]
        assert shape(initContainers=[container(restartPolicy="Always", ports=ports)]).host_ports == (HostPort(1),)
        assert shape(initContainers=[container(ports=ports)]).host_ports == ()

    def test_what_is_not_modelled_is_named(self) -> None:
        assert "resourceClaims" in " ".join(shape(resourceClaims=[{"name": "gpu"}]).unsupported)


def pod(**over: Any) -> dict[str, Any]:
    metadata = {"name": "web-abc-1", "namespace": "shop", "uid": "u", "labels": {"pod-template-hash": "abc"}}
    return {"metadata": {**metadata, **over.pop("metadata", {})}, "spec": {"containers": [container()]}, **over}


class TestPod:
    def test_finished_pods_are_none(self) -> None:
        assert to_pod(pod(status={"phase": "Succeeded"})) is None

    def test_the_deployment_behind_a_replica_set(self) -> None:
        owner = {"kind": "ReplicaSet", "name": "web-abc", "controller": True}
        read = to_pod(pod(metadata={"ownerReferences": [owner]}))
        assert read is not None
        assert read.owner == "Deployment/web"

    def test_unschedulable_is_what_the_scheduler_says(self) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        read = to_pod(pod(status={"conditions": [condition]}))
        assert read is not None
        assert read.unschedulable
        assert not to_pod(pod(status={"conditions": [{**condition, "reason": "SchedulingGated"}]})).unschedulable  # type: ignore[union-attr]


def test_a_daemon_set_is_its_template() -> None:
    raw = {
        "metadata": {"name": "agent", "namespace": "kube-system"},
        "spec": {"template": {"spec": {"containers": [container("1")]}}},
    }
    daemon = to_daemonset(raw)
    assert (daemon.key, daemon.shape.requests["cpu"]) == ("kube-system/agent", 1000)

"""What is left of a node for pods, against numbers worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotkube.catalog.allocatable import (
    GIB,
    MIB,
    ROOT_VOLUME_BYTES,
    allocatable,
    max_pods,
    memory_capacity,
    reserved_cpu,
    reserved_memory,
    reserved_storage,
)
from spotkube.model.resources import ResourceList

cpus = st.integers(min_value=0, max_value=900_000)
memories = st.integers(min_value=0, max_value=32 * 1024 * GIB)
pod_counts = st.integers(min_value=1, max_value=250)


def node(cpu_milli: int, memory: int, pods: int) -> ResourceList:
    return ResourceList(
        {"cpu": cpu_milli, "memory": memory, "pods": pods, "ephemeral-storage": ROOT_VOLUME_BYTES, "nvidia.com/gpu": 1}
    )


@pytest.mark.parametrize(
    ("cpu_milli", "reserved"),
    [
        (500, 30),
        (1_000, 60),
        (2_000, 60 + 10),
        (4_000, 60 + 10 + 10),
        (5_000, 83),  # 82.5, against us
        (8_000, 80 + 10),
        (96_000, 80 + 230),
    ],
)
def test_cpu_is_reserved_in_steps(cpu_milli: int, reserved: int) -> None:
    assert reserved_cpu(cpu_milli) == reserved


def test_memory_is_reserved_by_pods() -> None:
    # 255 + 11 * 29 for the kubelet, 100 for the eviction threshold
    assert reserved_memory(29) == 674 * MIB


def test_storage_is_reserved_for_kubelet_and_eviction() -> None:
    assert reserved_storage(20 * GIB) == 3 * GIB


@pytest.mark.parametrize(
    ("memory_mib", "arch", "visible_mib"),
    [
        (8192, "amd64", 7577),  # 614.4 rounded up to 615 taken off
        (16384, "arm64", 15096),  # 64 for CMA, then 7.5 % of 16320 = 1224
    ],
)
def test_a_vm_sees_less_memory_than_is_advertised(memory_mib: int, arch: str, visible_mib: int) -> None:
    assert memory_capacity(memory_mib, arch) == visible_mib * MIB


@pytest.mark.parametrize(
    ("enis", "addresses", "vcpu", "pods"),
    [
        (2, 2, 2, 4),  # t3.nano
        (3, 10, 2, 29),  # m5.large
        (4, 15, 4, 58),  # m5.xlarge
        (8, 30, 16, 110),  # m5.4xlarge: 234 addresses, capped
        (8, 30, 36, 234),  # c5.9xlarge: below the cap of large nodes
        (15, 50, 96, 250),  # m5.24xlarge: 737 addresses, capped
    ],
)
def test_pods_by_interfaces_and_caps(enis: int, addresses: int, vcpu: int, pods: int) -> None:
    assert max_pods(enis, addresses, vcpu) == pods


def test_all_of_an_m5_large() -> None:
    assert allocatable(node(2_000, 7577 * MIB, 29)) == ResourceList(
        {
            "cpu": 1_930,
            "memory": 6903 * MIB,
            "pods": 29,
            "ephemeral-storage": 17 * GIB,
            "nvidia.com/gpu": 1,
        }
    )


def test_a_node_too_small_for_its_kubelet_has_nothing_left_rather_than_a_debt() -> None:
    assert allocatable(node(1_000, 200 * MIB, 4))["memory"] == 0


@given(cpus, memories, pod_counts)
def test_allocatable_never_exceeds_capacity(cpu_milli: int, memory: int, pods: int) -> None:
    whole = node(cpu_milli, memory, pods)
    free = allocatable(whole)
    assert free.fits(whole)
    assert all(amount >= 0 for amount in free.values())


@given(cpus, cpus, memories, memories, pod_counts)
def test_a_larger_node_never_leaves_less(cpu_a: int, cpu_b: int, memory_a: int, memory_b: int, pods: int) -> None:
    smaller = allocatable(node(min(cpu_a, cpu_b), min(memory_a, memory_b), pods))
    larger = allocatable(node(max(cpu_a, cpu_b), max(memory_a, memory_b), pods))
    assert smaller.fits(larger)


@given(memories, pod_counts, pod_counts)
def test_more_pods_never_leave_more_memory(memory: int, pods_a: int, pods_b: int) -> None:
    few = allocatable(node(4_000, memory, min(pods_a, pods_b)))
    many = allocatable(node(4_000, memory, max(pods_a, pods_b)))
    assert many["memory"] <= few["memory"]

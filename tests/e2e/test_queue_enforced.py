"""The chart's policies and the operator together: a tenant with the rights of Kubernetes' role edit makes plain Jobs of
a queue; the policies hold them, the operator lets them go in turn, and nobody else can."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from test_operator_queues import has_ended, plain_job
from test_queue_policy import HELD, RESUME, SUSPEND, Person, job, may_create_jobs, state

from localcluster.errors import KubectlError
from spotkube.cluster.resources import FAIRQUEUES
from spotkube.model import labels as keys
from support import wait_until
from support_chart import render
from support_operator import Object, Site, Story, condition

GROUP = "admissionregistration.k8s.io/v1"


@pytest.fixture(scope="module")
def policies(site: Site) -> Iterator[None]:
    """Those of the chart, which let pass what the site's operator does."""
    served = [f"--api-versions={GROUP}/{kind}AdmissionPolicy" for kind in ("Mutating", "Validating")]
    shown = [f"--show-only=templates/{name}.yaml" for name in ("queuepolicy", "ownpolicy")]
    made = json.dumps(
        {"apiVersion": "v1", "kind": "List", "items": render(site.cluster, site.namespace, *served, *shown)}
    )
    site.cluster.kubectl("apply", "--server-side", "-f", "-", input=made)
    admin = Person(site.cluster.kubectl, "", site.namespace)

    def holds(*, in_between: bool) -> bool:
        """Between the two, when the API server knows of some of the policies, it refuses Jobs."""
        try:
            return bool(admin.create(job("probe"), "--dry-run=server")["spec"].get("suspend"))
        except KubectlError:
            return in_between

    try:
        wait_until(lambda: holds(in_between=False), 60, "the policies to be at work")
        yield
    finally:
        site.cluster.kubectl("delete", "-f", "-", input=made)
        wait_until(lambda: not holds(in_between=True), 60, "the policies to be gone")


@pytest.fixture
def queue(site: Site, story: Story) -> Iterator[str]:
    """A pool, and a queue of one core."""
    story.make_pool()
    name = f"queue-{story.namespace}"
    spec = {"resources": [{"name": "cpu", "nominalQuota": "1"}]}
    story.apply({"apiVersion": keys.API_VERSION, "kind": "FairQueue", "metadata": {"name": name}, "spec": spec})
    yield name
    site.cluster.kubectl("delete", FAIRQUEUES.name, name, "--wait=false")


@pytest.fixture
def tenant(site: Site, story: Story, policies: None) -> Person:
    kubectl, namespace = site.cluster.kubectl, story.namespace
    kubectl("create", "serviceaccount", "tenant", "-n", namespace)
    account = f"--serviceaccount={namespace}:tenant"
    kubectl("create", "rolebinding", "tenant", "-n", namespace, "--clusterrole=edit", account)
    tenant = Person(kubectl, f"system:serviceaccount:{namespace}:tenant", namespace)
    wait_until(lambda: may_create_jobs(tenant), message="the tenant's rights")
    return tenant


def annotations(tenant: Person, name: str) -> Object:
    found: Object = tenant.get(f"job/{name}")["metadata"].get("annotations", {})
    return found


def events_about(story: Story, name: str) -> str:
    """The types of Events on objects of that name."""
    types = f'jsonpath={{range .items[?(@.involvedObject.name=="{name}")]}}{{.type}} {{end}}'
    return story.kubectl("get", "events", "-o", types)


def test_a_tenants_jobs_run_one_after_the_other_and_he_can_start_none_of_them(
    story: Story, tenant: Person, queue: str
) -> None:
    assert state(tenant.create(plain_job(story, "first", queue, seconds=15))) == (True, HELD)
    story.wait(lambda: keys.ADMITTED_AT in annotations(tenant, "first"), "the queue to let the first go")

    assert state(tenant.create(plain_job(story, "second", queue, seconds=2))) == (True, HELD)
    assert f"the Job waits for queue '{queue}', which alone starts it" in tenant.refused("job/second", RESUME)
    forged = {"metadata": {"annotations": {keys.ADMITTED_AT: "2026-11-28T12:00:00Z"}}}
    assert keys.ADMITTED_AT in tenant.refused("job/second", forged)
    away = {"metadata": {"labels": {keys.QUEUE_NAME: None}}}
    assert "can't be changed" in tenant.refused("job/second", away | RESUME)
    tenant.patch("job/first", {"metadata": {"annotations": {keys.LAST_CHECKPOINT: "2026-11-28T12:00:00Z"}}})

    story.wait(lambda: has_ended(tenant.get("job/first")), "the first to end")
    story.wait(lambda: has_ended(tenant.get("job/second")), "the second to have its turn and end")
    let_go, ended = annotations(tenant, "second")[keys.ADMITTED_AT], tenant.get("job/first")["status"]["completionTime"]
    assert let_go[:19] >= ended[:19], "it was not let go before the first had ended"


def test_what_its_owner_suspends_needs_the_queue_again(story: Story, tenant: Person, queue: str) -> None:
    tenant.create(
        plain_job(
            story,
            "work",
            queue,
            seconds=2,
        )
    )
    story.wait(lambda: keys.ADMITTED_AT in annotations(tenant, "work"), "the queue to let it go")
    tenant.patch("job/work", SUSPEND)
    assert state(tenant.get("job/work")) == (True, {})

    tenant.patch("job/work", RESUME)

    story.wait(lambda: has_ended(tenant.get("job/work")), "it to have its turn again, and end")


def test_a_workload_makes_no_pods_with_names_that_are_the_operators(story: Story, policies: None) -> None:
    body = story.job("forged", 1, 1)
    body["spec"]["job"]["template"]["metadata"]["labels"] = {keys.WORKLOAD: "theirs"}
    story.apply(body)

    ready = story.wait(lambda: condition(story.status("forged"), "Ready"), "its status")

    assert ready["reason"] == "TemplateInvalid"
    assert f"the pod template has {keys.WORKLOAD}, which SpotKube alone sets" in ready["message"]
    assert not story.kubectl("get", "jobs", "-o", "name")


def test_a_queue_that_can_not_be_meant_says_so_and_so_do_its_jobs(site: Site, story: Story, queue: str) -> None:
    odd = f"odd-{story.namespace}"
    spec = {"resources": [{"name": "cpu", "nominalQuota": "99999999999999999"}]}
    story.apply({"apiVersion": keys.API_VERSION, "kind": "FairQueue", "metadata": {"name": odd}, "spec": spec})
    story.apply(story.job("waits", 1, 1, queueName=odd), story.job("lost", 1, 1, queueName="nowhere"))
    try:

        def conditions() -> tuple[Object, Object] | None:
            status = (site.reader.get(FAIRQUEUES, odd) or {}).get("status") or {}
            found = condition(status, "Active"), condition(status, "Overlaps")
            return found if all(found) else None

        active, shared = story.wait(conditions, "its conditions")
        assert (active["status"], active["reason"]) == ("False", "Invalid")
        assert "check its suffix" in active["message"]
        assert shared["status"] == "True"
        for name, reason in (("waits", "QueueInvalid"), ("lost", "UnknownQueue")):
            told = story.wait(lambda name=name: story.status(name).get("queue"), "why it waits")
            assert told["reason"] == reason
            story.wait(lambda name=name: "Warning" in events_about(story, name), "an Event of type Warning")
    finally:
        site.cluster.kubectl("delete", FAIRQUEUES.name, odd, "--wait=false")

"""Workloads: the objects that make their pods, their budgets, and how they stand.

`children` and `budgets` say what should exist, `writing` brings it about, `waiting` and `status` put into words how
things are, `reconcile` does all of it once a cycle.
"""

from spotkube.controllers.workloads.budgets import desired_budget
from spotkube.controllers.workloads.children import desired_child
from spotkube.controllers.workloads.reconcile import WorkloadController, WorkloadView
from spotkube.controllers.workloads.status import NodeFacts, Problem, node_facts, workload_status
from spotkube.controllers.workloads.waiting import Outlook

__all__ = [
    "NodeFacts",
    "Outlook",
    "Problem",
    "WorkloadController",
    "WorkloadView",
    "desired_budget",
    "desired_child",
    "node_facts",
    "workload_status",
]

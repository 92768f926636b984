"""What Workloads ask for when nodes leave."""

from collections.abc import Iterable

from spotkube.api.fields import parse_duration_seconds
from spotkube.api.termination import TerminationPolicy
from spotkube.api.workload import Workload
from spotkube.convert.workloads import key_of
from spotkube.model.termination import TerminationRule

_NOTHING = TerminationPolicy()


def termination_rules(workloads: Iterable[Workload]) -> dict[str, TerminationRule]:
    """By "namespace/name", of those that ask for anything."""
    return {key_of(w): _to_rule(w.spec.termination) for w in workloads if w.spec.termination != _NOTHING}


def _to_rule(policy: TerminationPolicy) -> TerminationRule:
    return TerminationRule(
        grace_seconds=None if policy.grace is None else parse_duration_seconds(policy.grace),
        notice_annotation=policy.notice_annotation or "",
        notice_seconds=parse_duration_seconds(policy.notice_time),
        surge=policy.surge,
    )

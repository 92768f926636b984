"""What a Workload asks for when a node under its pods leaves."""

from typing import Annotated, ClassVar

from spotkube.api.fields import Duration, LabelKey, PositiveDuration, parse_duration_seconds
from spotkube.api.rules import Rule, SpecModel
from spotkube.model.labels import GROUP


class TerminationPolicy(SpecModel):
    """How pods leave a node, when its instance is taken back or it is given up."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.noticeTime) || duration(self.noticeTime) == duration('0s') || has(self.noticeAnnotation)",
            "noticeTime is how long pods that were told are left alone: set noticeAnnotation too, or remove it",
            lambda policy: policy.notice_annotation is not None or not parse_duration_seconds(policy.notice_time),
        ),
    )

    grace: PositiveDuration | None = None
    """How long a pod needs to end once it is asked to, such as 90s. Left out, its own terminationGracePeriodSeconds."""
    notice_annotation: (
        Annotated[
            LabelKey,
            Rule(
                f"!self.startsWith('{GROUP}/')",
                f"annotations of {GROUP} are the operator's: choose another, such as example.com/checkpoint-before",
                lambda key: not key.startswith(f"{GROUP}/"),
            ),
        ]
        | None
    ) = None
    """Annotation that its pods get at a termination notice, before anything else is asked of them, so that they can
    save their work: when their instance ends, such as 2027-01-15T08:00:00Z. A container sees it in the API or, up to a
    minute late, in a downwardAPI volume."""
    notice_time: Duration = "0s"
    """How long pods that were told are then left alone, where the deadline leaves them their grace beside it."""
    surge: bool = False
    """Whether a pod's successor has to be ready before the pod is evicted, where the deadline allows it; without one,
    for five minutes. For a deployment, or a targetRef to one, whose pods are alike."""

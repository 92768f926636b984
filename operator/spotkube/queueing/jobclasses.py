"""Which jobs are runs of the same: those of one tenant with the same owner, image, command and requests.

Jobs that are made one after the other have names like `report-29312460` (a CronJob's), `train-7`, or `etl-x7k2p`; what
counts them is stripped from the name. The tenant is part of the class, so nobody's runs change others' estimates.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property

from spotkube.model.resources import ResourceList

# Kubernetes draws the letters of its suffixes from these, which spell no words.
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_TRAILERS = (
    re.compile(r"[-_.]?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
    re.compile(r"[-_.](?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{6,64}$"),
    re.compile(rf"-[{_SAFE}]{{5}}$"),
    re.compile(rf"-(?=[{_SAFE}]*[0-9])[{_SAFE}]{{6,10}}$"),
    re.compile(r"[-_.]?\d+[tT]\d+[zZ]?$"),
    re.compile(r"[-_.]?\d+$"),
)


def owner_pattern(name: str) -> str:
    """The name with `*` for the counters, hashes and times at its end; as it is if it has none, or nothing else."""
    pattern = name
    # One after the other, each time from the first kind on: what is left then does not depend on which kind of counter
    # a number looks like.
    while shorter := next((cut for trailer in _TRAILERS if (cut := trailer.sub("", pattern)) != pattern), ""):
        pattern = shorter
    return name if pattern == name else f"{pattern}-*"


@dataclass(frozen=True)
class JobClass:
    """What makes two jobs runs of the same."""

    tenant: str
    owner: str
    """As `owner_pattern` gives it."""
    image: str
    command: tuple[str, ...]
    requests: ResourceList
    """Of all pods."""

    @cached_property
    def key(self) -> str:
        """A short name of all but the tenant, for a status: 16 hexadecimal digits."""
        whole = json.dumps([self.owner, self.image, self.command, dict(self.requests)])
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return f"{self.owner} with image {self.image}"

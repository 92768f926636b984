"""Whose a namespace is: that of the tenant which a label of it names, or a tenant of its own.

Only who may change Namespaces sets their labels, which no role of Kubernetes for users within them allows.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tenants:
    """`named` has the tenant of each namespace that is not one by itself."""

    named: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def by_label(cls, label: str, namespaces: Iterable[tuple[str, Mapping[str, str]]]) -> "Tenants":
        """Of namespaces with their labels. An empty `label`, and an absent or empty value, make the namespace the
        tenant."""
        if not label:
            return cls()
        return cls({name: tenant for name, labels in namespaces if (tenant := labels.get(label))})

    def of(self, namespace: str) -> str:
        """The tenant of the namespace."""
        return self.named.get(namespace, namespace)

    def namespaces(self) -> dict[str, list[str]]:
        """By tenant, of those that a label names."""
        found: dict[str, list[str]] = defaultdict(list)
        for namespace, tenant in sorted(self.named.items()):
            found[tenant].append(namespace)
        return dict(found)

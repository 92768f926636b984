"""Who is meant by a rule between pods: pods told apart by namespace and labels, found by an index of their labels."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from spotkube.model.pods import ALL_NAMESPACES, Labels, PodTerm
from spotkube.model.selectors import LabelSelector, Operator

# Namespace and labels, as far as selectors ask for these.
Subject = tuple[str, Labels]


class Subjects:
    """Every subject of a decision, and which of them a selector means: each question is answered once."""

    def __init__(self, subjects: Iterable[Subject]) -> None:
        self._all = list(dict.fromkeys(subjects))
        self._by_label: dict[tuple[str, str], list[Subject]] = defaultdict(list)
        for subject in self._all:
            for item in subject[1]:
                self._by_label[item].append(subject)
        self._known: dict[tuple[frozenset[str], LabelSelector], frozenset[Subject]] = {}

    def selected(self, namespaces: frozenset[str], selector: LabelSelector | None) -> frozenset[Subject]:
        if selector is None:
            return frozenset()
        question = (namespaces, selector)
        if question not in self._known:
            self._known[question] = frozenset(
                subject
                for subject in self._candidates(selector)
                if (namespaces == ALL_NAMESPACES or subject[0] in namespaces) and selector.matches(dict(subject[1]))
            )
        return self._known[question]

    def meant_by_all(self, terms: Sequence[PodTerm]) -> frozenset[Subject]:
        """Those that match every term: it is these that required pod affinity looks for, whatever the topology."""
        if not terms:
            return frozenset()
        return frozenset.intersection(*(self.selected(term.namespaces, term.selector) for term in terms))

    def _candidates(self, selector: LabelSelector) -> Iterable[Subject]:
        for requirement in selector.requirements:
            if requirement.operator is Operator.IN:
                return (s for value in requirement.values for s in self._by_label.get((requirement.key, value), ()))
        return self._all

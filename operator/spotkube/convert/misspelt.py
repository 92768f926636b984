"""Fields of Kubernetes' own kinds that do not exist: the API server would refuse them, and a plan would not heed them.

Which fields there are is what the official client knows. Only specs are read: what the cluster itself writes is right.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from spotkube.convert.documents import Document, Mistakes
from spotkube.model.labels import GROUP

# The groups of the kinds that are read; those of others may have kinds of the same names.
_GROUPS = ("", "apps", "batch", "scheduling.k8s.io", "node.k8s.io", "storage.k8s.io")
_INSIDE = re.compile(r"(?:List\[|Dict\[str, )(\w+)\]")


def note_misspelt(documents: list[Document], mistakes: Mistakes) -> None:
    """Notes each field that no kind of Kubernetes has, with the one that may be meant."""
    for document in documents:
        spec = document.content.get("spec")
        if document.group in _GROUPS:
            model = f"V1{document.kind}Spec"
            mistakes.lines += [f"{document}: {line}" for line in _unknown(model, spec, "spec")]
        elif (document.group, document.kind) == (GROUP, "Workload") and isinstance(spec, Mapping):
            for source, content in spec.items():
                template = content.get("template") if isinstance(content, Mapping) else None
                lines = _unknown("V1PodTemplateSpec", template, f"spec.{source}.template")
                mistakes.lines += [f"{document}: {line}" for line in lines]


def _unknown(model: str, value: Any, path: str) -> Iterator[str]:
    """The unknown fields in `value`, which should be of the client's `model`; other shapes are not looked at."""
    fields = _fields(model)
    if not fields or not isinstance(value, Mapping):
        return
    for name, content in value.items():
        if name not in fields:
            near = get_close_matches(str(name), fields, n=1)
            remedy = f"did you mean {near[0]}?" if near else "remove it, or move it to where it belongs"
            yield f"{path}.{name}: there is no such field; {remedy}"
            continue
        inside = _INSIDE.fullmatch(fields[name])
        inner = inside[1] if inside else fields[name]
        if inside is None:
            yield from _unknown(inner, content, f"{path}.{name}")
        elif isinstance(content, list):
            for number, item in enumerate(content):
                yield from _unknown(inner, item, f"{path}.{name}[{number}]")


@cache
def _fields(model: str) -> Mapping[str, str]:
    """Type by name of field, both as the client has them; none for what is no object of Kubernetes."""
    # Imported late: it takes half a second, for which no other command should wait.
    from kubernetes.client import models  # noqa: PLC0415

    known = getattr(models, model, None)
    types: Mapping[str, str] = getattr(known, "openapi_types", {})
    return {known.attribute_map[name]: type_ for name, type_ in types.items()} if known is not None else {}

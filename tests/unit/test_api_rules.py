"""The models refuse what the API server refuses, with the same words, and no rule goes without a case."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from api.cases import CASES, CHANGES, Case
from spotkube.api import KINDS
from spotkube.api.rules import VALIDATIONS
from spotkube.api.schema import structural_schema

MODELS = {model.resource.kind: model for model in KINDS}
ACCEPTED = [case for case in CASES if not case.says]
REFUSED = [case for case in CASES if case.says]


def title(case: Case) -> str:
    return f"{case.kind}: {case.title}"


@pytest.mark.parametrize("case", ACCEPTED, ids=title)
def test_models_accept(case: Case) -> None:
    parsed = MODELS[case.kind].from_dict(case.manifest())

    assert MODELS[case.kind].from_dict(parsed.to_dict()) == parsed


@pytest.mark.parametrize("case", REFUSED, ids=title)
def test_models_refuse_and_name_the_remedy(case: Case) -> None:
    with pytest.raises(ValidationError) as refusal:
        MODELS[case.kind].from_dict(case.manifest())

    assert (case.models_say or case.says) in str(refusal.value)


def _rules(schema: Any) -> Iterator[dict[str, str]]:
    if isinstance(schema, dict):
        yield from schema.get(VALIDATIONS, [])
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _rules(part)


@pytest.mark.parametrize("model", KINDS, ids=lambda model: model.resource.kind)
def test_every_rule_has_a_case_that_breaks_it(model: Any) -> None:
    kind = model.resource.kind
    said = [case.says for case in REFUSED] + [change.says for change in CHANGES if change.says and change.kind == kind]

    untested = {
        rule["message"]
        for rule in _rules(structural_schema(model))
        if not any(text in rule["message"] for text in said)
    }

    assert not untested

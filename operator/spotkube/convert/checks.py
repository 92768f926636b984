"""What pydantic finds wrong in a manifest, as sentences: where, which field and value, and what to do about it."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from spotkube.convert.documents import Document, ManifestError

MAX_SHOWN = 10
MAX_VALUE_LENGTH = 60

Model = TypeVar("Model", bound=BaseModel)
Converted = TypeVar("Converted")


def checked(model: type[Model], document: Document) -> Model:
    """The document as this model. Raises ManifestError with a line for each mistake."""
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        lines = [f"{document}: {_path(one)}: {_complaint(one)}" for one in errors[:MAX_SHOWN]]
        more = [f"{document}: ... and {len(errors) - MAX_SHOWN} more"] if len(errors) > MAX_SHOWN else []
        raise ManifestError("\n".join(lines + more)) from error


def converted(document: Document, convert: Callable[[Any], Converted], value: Any) -> Converted:
    """`convert(value)`, with the document's name before what it complains of."""
    try:
        return convert(value)
    except ManifestError:
        raise
    except ValueError as error:
        raise ManifestError(f"{document}: {error}") from error


def _path(error: ErrorDetails) -> str:
    text = ""
    for step in error["loc"]:
        text += f"[{step}]" if isinstance(step, int) or "." in step or "/" in step else f".{step}"
    return text.lstrip(".") or "the object"


def _complaint(error: ErrorDetails) -> str:
    value, context = _short(error["input"]), error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is missing; add it"
        case "extra_forbidden":
            return f"{value} stands in a field that this kind does not have; correct its name, or remove it"
        case "literal_error" | "enum":
            return f"{value} is not known; use {context['expected']}"
        case "string_type":
            return f"{value} is no text; put it in quotes"
        case "int_type" | "int_parsing" | "int_from_float" | "float_type":
            kind = "whole number" if isinstance(error["input"], float) else "number"
            return f"{value} is no {kind}; write one, without quotes"
        case "bool_type":
            return f"{value} is neither; write true or false"
        case "greater_than_equal" | "less_than_equal":
            bound = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
            return f"{value} is out of range; give {bound}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{value} is no map of fields; write its fields on lines of their own"
        case "list_type" | "tuple_type":
            return f"{value} is no list; write each entry with a dash"
        case "too_short" | "string_too_short":
            return f"{value} is too short; give at least {context['min_length']}"
        case "value_error":
            return str(context["error"])
        case _:
            return f"{value}: {error['msg'][0].lower()}{error['msg'][1:]}; correct the value"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 3]}..."

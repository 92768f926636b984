"""Kubernetes manifests from files, folders, patterns and standard input, as plain values that know where they stood."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import yaml

SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"
_WILDCARDS = "*?["


class ManifestError(ValueError):
    """Manifests that can't be used; the message has a line for each mistake: file, document, field, value, remedy."""


@dataclass(slots=True)
class Mistakes:
    """What can't be used, a line for each mistake, so that the rest can be."""

    lines: list[str] = field(default_factory=list)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Notes a ManifestError and goes on after the block."""
        try:
            yield
        except ManifestError as error:
            self.lines += str(error).splitlines()

    def raise_if_any(self) -> None:
        """Raises ManifestError with all of them."""
        if self.lines:
            raise ManifestError("\n".join(self.lines))


class _Doubled(str):
    """In place of an object: what stands in it twice. Files that are put one after the other without --- look so, and
    YAML would take the last of each."""


class _Loader(yaml.CSafeLoader):
    """YAML as the API server understands it: times stay text."""

    def construct_document(self, node: yaml.Node) -> Any:
        keys = Counter(str(key.value) for key, _ in node.value) if isinstance(node, yaml.MappingNode) else {}
        doubled = next((key for key in ("apiVersion", "kind", "metadata") if keys.get(key, 0) > 1), None)
        return super().construct_document(node) if doubled is None else _Doubled(doubled)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Document:
    """One object. `place` is where it stands, such as "shop.yaml, document 2"."""

    place: str
    content: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.content["kind"])

    @property
    def group(self) -> str:
        """The API group, "" for the core."""
        group, slash, _ = str(self.content.get("apiVersion") or "").partition("/")
        return group if slash else ""

    @property
    def name(self) -> str:
        return str(self.content["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.content["metadata"].get("namespace") or "default")

    def __str__(self) -> str:
        metadata = self.content.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        return f"{self.place} ({self.kind} {name})" if name else f"{self.place} ({self.kind})"


def read_documents(sources: Sequence[str], stdin: TextIO, mistakes: Mistakes) -> list[Document]:
    """Every object of the sources, lists taken apart. A file that two sources name is read once.

    A source is a file, a folder (all its YAML and JSON files, subfolders too), a pattern such as `k8s/*.yaml`, or "-"
    for `stdin`. What can't be read is left out and noted in `mistakes`.
    """
    files: dict[str, None] = {}
    for source in sources:
        with mistakes.collected():
            files |= dict.fromkeys(_expand(source))
    documents: list[Document] = []
    for file in files:
        with mistakes.collected():
            name = "standard input" if file == STDIN else file
            documents += _objects(name, stdin.read() if file == STDIN else _read(Path(file)), mistakes)
    if not documents and not mistakes.lines:
        mistakes.lines.append(f"{', '.join(sources)}: no Kubernetes object in there; give manifests with -f")
    return documents


def _expand(source: str) -> list[str]:
    path = Path(source)
    if source == STDIN or path.is_file():
        return [source]
    if path.is_dir():
        files = [str(file) for file in sorted(path.rglob("*")) if file.suffix in SUFFIXES and file.is_file()]
        problem = f"no {', '.join(SUFFIXES)} file in this folder; give the folder that has the manifests"
    elif any(character in source for character in _WILDCARDS):
        anchor = Path(path.anchor) if path.anchor else Path()
        pattern = str(path.relative_to(path.anchor)) if path.anchor else source
        files = [str(file) for file in sorted(anchor.glob(pattern)) if file.is_file()]
        problem = "no file matches this pattern; check it"
    else:
        files, problem = [], "there is no such file; check the path given with -f"
    if not files:
        raise ManifestError(f"{source}: {problem}")
    return files


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: can't be read ({error}); give a text file that you may read") from error


def _objects(name: str, text: str, mistakes: Mistakes) -> list[Document]:
    documents: list[Document] = []
    for number, content in enumerate(_parse(name, text), start=1):
        if content is not None:
            documents += _take_apart(f"{name}, document {number}", content, mistakes)
    return documents


def _parse(name: str, text: str) -> list[Any]:
    """The documents of a file, empty ones as None, so that they count."""
    if text.lstrip().startswith("{"):
        # Tools print JSON objects one after the other; YAML would refuse that, and the tabs that JSON allows.
        try:
            return list(_json_objects(text))
        except json.JSONDecodeError:
            pass
    try:
        return list(yaml.load_all(text, Loader=_Loader))
    except (yaml.YAMLError, ValueError) as error:
        hint = "render the template first (helm template)" if "{{" in text else "correct it there"
        raise ManifestError(f"{name}: is neither YAML nor JSON: {' '.join(str(error).split())}; {hint}") from error


def _json_objects(text: str) -> Iterator[Any]:
    decoder, position = json.JSONDecoder(), 0
    while position < len(text.rstrip()):
        position += len(text[position:]) - len(text[position:].lstrip())
        content, position = decoder.raw_decode(text, position)
        yield content


def _take_apart(place: str, content: Any, mistakes: Mistakes, listed: tuple[str, str] = ("", "")) -> Iterator[Document]:
    """The object itself, or the items of a list. `listed` is the kind and apiVersion that items of a list may omit."""
    with mistakes.collected():
        kind, version = _kind_of(place, content, listed)
        items = content.get("items")
        if kind.endswith("List") and isinstance(items, list):
            for number, item in enumerate(items):
                inherited = (kind.removesuffix("List"), str(version or ""))
                yield from _take_apart(f"{place}, items[{number}]", item, mistakes, inherited)
        else:
            yield Document(place, {**content, "kind": kind, "apiVersion": version})


def _kind_of(place: str, content: Any, listed: tuple[str, str]) -> tuple[str, Any]:
    """Kind and apiVersion. Raises ManifestError."""
    if isinstance(content, _Doubled):
        raise ManifestError(f"{place}: {content} is given twice; write --- on a line of its own between two objects")
    if not isinstance(content, dict):
        raise ManifestError(f"{place}: is {_short(content)}; a manifest is a map with apiVersion, kind and metadata")
    kind, version = content.get("kind") or listed[0], content.get("apiVersion") or listed[1]
    if not isinstance(kind, str) or not kind:
        raise ManifestError(f"{place}: kind: {_short(content.get('kind'))} names no kind; add one, such as Deployment")
    return kind, version


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

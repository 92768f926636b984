"""Files that are made from the models: print them, write them, or check that they are up to date."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GeneratedFiles:
    """`render` gives file name -> text; `directory` is where they stand, from the repository's root."""

    directory: str
    what: str
    render: Callable[[], dict[str, str]]

    def write(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in self.render().items():
            (directory / name).write_text(text, encoding="utf-8")

    def stale(self, directory: Path) -> list[str]:
        """Names of files that are missing or differ from what the models say."""
        return [name for name, text in self.render().items() if _read(directory / name) != text]


def main(files: GeneratedFiles, arguments: Sequence[str] | None = None) -> int:
    """The command line of a generator; returns the exit code."""
    parser = argparse.ArgumentParser(description=f"Prints {files.what}, made from the models.")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", metavar="DIR", type=Path, help=f"write them into DIR ({files.directory})")
    action.add_argument(
        "--check", metavar="DIR", type=Path, nargs="?", const=Path(files.directory), help="exit 1 if stale"
    )
    chosen = parser.parse_args(arguments)
    if chosen.write is not None:
        files.write(chosen.write)
    elif chosen.check is not None:
        stale = files.stale(chosen.check)
        if stale:
            print(f"out of date: {', '.join(stale)}; run this command again with --write {chosen.check}")
            return 1
    else:
        print("---\n".join(files.render().values()), end="")
    return 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None

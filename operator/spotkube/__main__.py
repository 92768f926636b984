"""`python -m spotkube` is the `spotkube` command."""

from spotkube.cli import main

main()

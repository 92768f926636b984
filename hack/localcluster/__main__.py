"""`python -m localcluster`."""

from localcluster.cli import app

app(prog_name="python -m localcluster")

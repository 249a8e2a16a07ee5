"""`python -m consortium.cli`: the same as the `consortium` command."""

from consortium.cli.app import app

app()

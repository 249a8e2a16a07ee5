"""`python -m consortium.cli`: the same as the `consortium` command."""

from consortium.cli.app import app

# a web process of several is begun from here again, and must not begin others
if __name__ == "__main__":
    app()

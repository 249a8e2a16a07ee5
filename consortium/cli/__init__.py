"""The command line: stdout for machines, stderr for people, exit codes for cron."""

from consortium.cli.app import app

__all__ = ["app"]

"""Upkeep: steps of the database, backup and restore, the self-check of a node."""

"""Sharing Chain: one program for the hub and the workstations of a hospital consortium."""

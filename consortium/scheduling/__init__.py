"""Scheduling: sessions that a specialist publishes, and the slots in them."""

"""Exchanges: one signed path, one order, one fold. Knows no room: wiring gives it their kinds."""

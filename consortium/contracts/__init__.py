"""Contracts: what members promised each other, as terms that the permit reads."""

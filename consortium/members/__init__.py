"""Members: charter, organisations, people, keys, accounts, joining (PROTOCOL 2)."""

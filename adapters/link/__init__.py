"""Links to another node: HTTPS now, a carried file later."""

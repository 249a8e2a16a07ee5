"""The ledger without the product: a transparency log in the standard library and cryptography."""

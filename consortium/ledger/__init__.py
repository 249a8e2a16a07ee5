"""The ledger: journal, publisher, receipts, witness. The only room that sees `chain`."""

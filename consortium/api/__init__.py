"""Faces for programs: FHIR R4, sync between nodes, the ledger's files, health."""

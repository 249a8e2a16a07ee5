"""Wire formats to FHIR or plain values. Knows nothing of ours; fitted in by wiring alone."""

"""Records: what is known of a patient as FHIR resources, and who may see it on what consent."""

"""FHIR R4 on the ground floor: strict gate, checks, message Bundles, signatures, identity.

The wire is R4 (4.0.1). Models of fhir.resources (R4B) are imported late, inside functions, so that
a workstation starts without them. Original bytes are kept; nothing that is signed is ever
serialised again.
"""

"""What the FHIR door can do, told from the tables that its routes use (hl7.org/fhir/R4)."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from consortium.api import fhir_query
from consortium.fhir import gate, systems
from consortium.fhir.elements import moment

FHIR_VERSION = "4.0.1"


def statement(types: Collection[str], *, base: str, version: str, started: datetime) -> bytes:
    """The CapabilityStatement of this node. `version` is the program's."""
    made: dict[str, Any] = {
        "resourceType": "CapabilityStatement",
        "id": "node",
        "url": f"{systems.ROOT}/CapabilityStatement/node",
        "version": version,
        "name": "SharingChain",
        "status": "active",
        "date": moment(started),
        "kind": "instance",
        "software": {"name": "Sharing Chain", "version": version},
        "implementation": {"description": "Sharing Chain", "url": base},
        "fhirVersion": FHIR_VERSION,
        "format": ["json", "application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "cors": False,
                    "service": [
                        {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/"
                                    "restful-security-service",
                                    "code": "Basic",
                                }
                            ]
                        }
                    ],
                },
                "resource": [_resource(one) for one in sorted(types)],
            }
        ],
    }
    return gate.dump(made)


def _resource(resource_type: str) -> dict[str, Any]:
    return {
        "type": resource_type,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "versioned",
        "readHistory": False,
        "conditionalRead": "full-support",
        "searchParam": [
            {"name": name, "type": kind}
            for name, kind in fhir_query.parameters(resource_type).items()
        ],
    }

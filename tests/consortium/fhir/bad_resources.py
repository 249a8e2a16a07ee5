"""Resources that must be refused: the number is the row of research/reliability.md, 5."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from consortium.fhir.bindings import LIST_MAX
from tests.support.clock import START

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
Change = Callable[[dict[str, Any]], object]


def setting(path: str, value: object) -> Change:
    """A change that puts `value` at a dotted path."""

    def change(resource: Any) -> None:
        *way, last = path.split(".")
        for step in way:
            resource = resource[int(step)] if step.isdigit() else resource[step]
        if isinstance(resource, list):
            resource[int(last)] = value
        else:
            resource[last] = value

    return change


def removing(name: str) -> Change:
    return lambda resource: resource.pop(name)


def narrative(div: str) -> Change:
    return setting("text", {"status": "generated", "div": div})


def div(inner: str, *, attributes: str = "") -> str:
    return f"<div {XHTML}{attributes}>{inner}</div>"


PATIENT_ROWS: dict[str, tuple[Change, str, str]] = {
    "13 unknown field": (setting("colour", "red"), "fhir.unknown_field", "Patient.colour"),
    "13 unknown field deep": (
        setting("name.0.nick", "x"),
        "fhir.unknown_field",
        "Patient.name[0].nick",
    ),
    "13 comments of old FHIR": (
        setting("fhir_comments", ["x"]),
        "fhir.unknown_field",
        "Patient.fhir_comments",
    ),
    "13 a sibling of no primitive": (
        setting("_name", {"id": "a"}),
        "fhir.unknown_field",
        "Patient._name",
    ),
    "14 gender": (setting("gender", "zzz"), "fhir.code", "Patient.gender"),
    "14 use of a name": (setting("name.0.use", "old-name"), "fhir.code", "Patient.name[0].use"),
    "16 id of 65": (setting("id", "a" * 65), "fhir.value", "Patient.id"),
    "16 id with a path": (setting("id", "../x"), "fhir.value", "Patient.id"),
    "16 id with an emoji": (setting("id", "a😀"), "fhir.value", "Patient.id"),
    "16 id with a line end": (setting("id", "a\n"), "fhir.value", "Patient.id"),
    "16 empty id": (setting("id", ""), "fhir.empty", "Patient.id"),
    "17 javascript": (
        setting("managingOrganization.reference", "javascript:alert(1)"),
        "fhir.reference",
        "Patient.managingOrganization.reference",
    ),
    "17 file": (
        setting("managingOrganization.reference", "file:///etc/passwd"),
        "fhir.reference",
        "Patient.managingOrganization.reference",
    ),
    "17 foreign address": (
        setting("managingOrganization.reference", "https://evil.test/Organization/1"),
        "fhir.reference",
        "Patient.managingOrganization.reference",
    ),
    "17 protocol-relative": (
        setting("managingOrganization.reference", "//evil.test/Organization/1"),
        "fhir.reference",
        "Patient.managingOrganization.reference",
    ),
    "17 wrong type": (
        setting("managingOrganization.reference", "Practitioner/1"),
        "fhir.reference_type",
        "Patient.managingOrganization.reference",
    ),
    "17 photo from outside": (
        setting("photo", [{"contentType": "image/png", "url": "https://evil.test/x.png"}]),
        "fhir.reference",
        "Patient.photo[0].url",
    ),
    "17 system that would act": (
        setting("identifier.0.system", "javascript:alert(1)"),
        "fhir.reference",
        "Patient.identifier[0].system",
    ),
    "17 data in an extension": (
        setting("extension", [{"url": "http://a.test", "valueUrl": "data:text/html,x"}]),
        "fhir.reference",
        "Patient.extension[0].valueUrl",
    ),
    "18 script": (
        narrative(div("<script>1</script>")),
        "fhir.narrative_active",
        "Patient.text.div",
    ),
    "18 event": (
        narrative(div("a", attributes=' onclick="x()"')),
        "fhir.narrative_active",
        "Patient.text.div",
    ),
    "18 link that acts": (
        narrative(div('<a href=" javascript:alert(1)">a</a>')),
        "fhir.narrative_active",
        "Patient.text.div",
    ),
    "18 image from outside": (
        narrative(div('<img src="https://evil.test/x.png"/>')),
        "fhir.narrative_active",
        "Patient.text.div",
    ),
    "18 style that fetches": (
        narrative(div('<p style="background:url(//evil.test)">a</p>')),
        "fhir.narrative_active",
        "Patient.text.div",
    ),
    "18 iframe": (narrative(div("<iframe/>a")), "fhir.narrative_active", "Patient.text.div"),
    "18 svg": (narrative(div("<svg>a</svg>")), "fhir.narrative_active", "Patient.text.div"),
    "18 form": (narrative(div("<form>a</form>")), "fhir.narrative_active", "Patient.text.div"),
    "18 script under a prefix": (
        narrative(div('<h:script xmlns:h="http://www.w3.org/1999/xhtml">1</h:script>a')),
        "fhir.narrative_active",
        "Patient.text.div",
    ),
    "18 entities": (
        narrative(f'<!DOCTYPE d [<!ENTITY a "b">]>{div("&a;")}'),
        "fhir.narrative_active",
        "Patient.text.div",
    ),
    "18 not closed": (narrative(f"<div {XHTML}><p>a</div>"), "fhir.narrative", "Patient.text.div"),
    "18 no namespace": (narrative("<div>a</div>"), "fhir.narrative", "Patient.text.div"),
    "18 nothing to read": (narrative(div(" <br/> ")), "fhir.narrative", "Patient.text.div"),
    "18 unknown entity": (narrative(div("&nosuch;")), "fhir.narrative", "Patient.text.div"),
    "19 30 February": (setting("birthDate", "2026-02-30"), "fhir.value", "Patient.birthDate"),
    "19 tomorrow": (
        setting("birthDate", (START + timedelta(days=1)).date().isoformat()),
        "fhir.birth_date",
        "Patient",
    ),
    "19 next year": (setting("birthDate", "2027"), "fhir.birth_date", "Patient"),
    "19 before 1880": (setting("birthDate", "1879-12-31"), "fhir.birth_date", "Patient"),
    "19 other format": (setting("birthDate", "31/12/1949"), "fhir.value", "Patient.birthDate"),
    "19 time in a date": (
        setting("birthDate", "1949-12-31T00:00:00Z"),
        "fhir.value",
        "Patient.birthDate",
    ),
    "19 a number": (setting("birthDate", 19491231), "fhir.type", "Patient.birthDate"),
    "21 check character": (
        setting("identifier.0.value", "110105194912310021"),
        "identity.number",
        "Patient.identifier[0]",
    ),
    "31 ledger index": (
        setting("ledger_index", 7),
        "fhir.assignment",
        "Patient.ledger_index",
    ),
    "31 verified": (setting("verified", True), "fhir.assignment", "Patient.verified"),
    "text for a truth": (setting("active", "true"), "fhir.type", "Patient.active"),
    "number for a truth": (setting("active", 1), "fhir.type", "Patient.active"),
    "truth for a number": (
        lambda p: (p.pop("deceasedBoolean", 0), p.update(multipleBirthInteger=True)),
        "fhir.type",
        "Patient.multipleBirthInteger",
    ),
    "empty list": (setting("name", []), "fhir.empty", "Patient.name"),
    "empty object": (setting("name", [{}]), "fhir.empty", "Patient.name[0]"),
    "null in a list": (setting("name", [None]), "fhir.empty", "Patient.name"),
    "null": (setting("gender", None), "fhir.empty", "Patient.gender"),
    "blank text": (setting("name.0.text", " \t"), "fhir.empty", "Patient.name[0].text"),
    "list for one": (setting("gender", ["male"]), "fhir.type", "Patient.gender"),
    "one for a list": (setting("name", {"text": "a"}), "fhir.type", "Patient.name"),
    "text for an object": (setting("name", ["a"]), "fhir.type", "Patient.name[0]"),
    "a megabyte of family name": (
        setting("name.0.family", "a" * (1 << 20)),
        "fhir.too_long",
        "Patient.name[0].family",
    ),
    "NUL from a form": (setting("name.0.text", "a\x00"), "fhir.control", "Patient.name[0].text"),
    "lone surrogate from a form": (
        setting("name.0.text", "a\ud800"),
        "fhir.encoding",
        "Patient.name[0].text",
    ),
    "two choices": (
        lambda p: p.update(deceasedBoolean=True, deceasedDateTime="2020"),
        "fhir.rule",
        "Patient.deceased[x]",
    ),
    "modifier": (
        setting("modifierExtension", [{"url": "http://a.test", "valueBoolean": True}]),
        "fhir.modifier",
        "Patient.modifierExtension",
    ),
    "rules from elsewhere": (
        setting("implicitRules", "http://a.test"),
        "fhir.modifier",
        "Patient.implicitRules",
    ),
    "an element of R4B": (
        setting(
            "extension",
            [{"url": "http://a.test", "valueRatioRange": {"lowNumerator": {"value": 1}}}],
        ),
        "fhir.unknown_field",
        "Patient.extension[0].valueRatioRange",
    ),
    "value and extension at once": (
        setting(
            "extension",
            [{"url": "http://a.test", "valueString": "a", "extension": [{"url": "b"}]}],
        ),
        "fhir.rule",
        "Patient.extension[0].extension[0]",
    ),
    "contact without a way": (
        setting("contact", [{"gender": "male"}]),
        "fhir.rule",
        "Patient.contact[0]",
    ),
    "contained in contained": (
        setting(
            "contained",
            [{"resourceType": "Patient", "id": "a", "contained": [{"resourceType": "Patient"}]}],
        ),
        "fhir.rule",
        "Patient.contained[0]",
    ),
    "contained of another world": (
        setting("contained", [{"resourceType": "Citation", "id": "a"}]),
        "fhir.resource_type",
        "Patient.contained[0]",
    ),
    "too many": (
        lambda p: p.update(name=[{"text": "a"}] * (LIST_MAX + 1)),
        "fhir.too_many",
        "Patient.name",
    ),
    "no type": (removing("resourceType"), "fhir.type", "resourceType"),
}


REQUEST_ROWS: dict[str, tuple[Change, str, str]] = {
    "14 status": (setting("status", "zzz"), "fhir.code", "ServiceRequest.status"),
    "14 priority": (setting("priority", "ASAP!!"), "fhir.code", "ServiceRequest.priority"),
    "15 subject": (removing("subject"), "fhir.required", "ServiceRequest.subject"),
    "15 status": (removing("status"), "fhir.required", "ServiceRequest.status"),
    "15 empty subject": (setting("subject", {}), "fhir.empty", "ServiceRequest.subject"),
    "15 subject of nothing": (
        setting("subject", {"type": "Patient"}),
        "fhir.empty",
        "ServiceRequest.subject",
    ),
    "20 end before start": (
        setting("occurrencePeriod", {"start": "2026-03-02", "end": "2026-03-01"}),
        "fhir.rule",
        "ServiceRequest.occurrencePeriod",
    ),
    "25:00": (
        setting("authoredOn", "2026-03-01T25:00:00+08:00"),
        "fhir.value",
        "ServiceRequest.authoredOn",
    ),
    "no zone": (
        setting("authoredOn", "2026-03-01T09:00:00"),
        "fhir.value",
        "ServiceRequest.authoredOn",
    ),
    "no seconds": (
        setting("authoredOn", "2026-03-01T09:00+08:00"),
        "fhir.value",
        "ServiceRequest.authoredOn",
    ),
    "subject of another type": (
        setting("subject.reference", "Organization/a"),
        "fhir.reference_type",
        "ServiceRequest.subject.reference",
    ),
}


RULE_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "20 discharge before admission": (
        {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"code": "IMP"},
            "period": {"start": "2026-03-02T08:00:00+08:00", "end": "2026-03-01T08:00:00+08:00"},
        },
        "per-1",
    ),
    "a value and why there is none": (
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "a"},
            "valueString": "a",
            "dataAbsentReason": {"text": "b"},
        },
        "obs-6",
    ),
    "a code without a system": (
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "a"},
            "valueQuantity": {"value": 1, "code": "kg"},
        },
        "qty-3",
    ),
    "over, yet active": (
        {
            "resourceType": "Condition",
            "clinicalStatus": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                        "code": "active",
                    }
                ]
            },
            "subject": {"reference": "Patient/a"},
            "abatementDateTime": "2020",
        },
        "con-4",
    ),
    "booked without a time": (
        {
            "resourceType": "Appointment",
            "status": "booked",
            "participant": [{"actor": {"reference": "Patient/a"}, "status": "accepted"}],
        },
        "app-3",
    ),
    "an appointment that ends before it starts": (
        {
            "resourceType": "Appointment",
            "status": "booked",
            "start": "2026-03-01T10:00:00+08:00",
            "end": "2026-03-01T01:00:00Z",
            "participant": [{"actor": {"reference": "Patient/a"}, "status": "accepted"}],
        },
        "own-times",
    ),
    "a nameless organization": ({"resourceType": "Organization", "active": True}, "org-1"),
    "a parameter of nothing": (
        {"resourceType": "Parameters", "parameter": [{"name": "a"}]},
        "inv-1",
    ),
    "consent to no policy": (
        {
            "resourceType": "Consent",
            "status": "active",
            "scope": {"text": "a"},
            "category": [{"text": "a"}],
        },
        "ppc-1",
    ),
}

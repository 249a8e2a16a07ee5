"""Message bodies: bytes that stay, entries that fit together, parts that come back."""

import base64
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.fhir import gate, message, systems
from consortium.fhir.message import Message
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.ids import new_id
from tests.consortium.fhir import samples
from tests.support.clock import START

EXCHANGE = new_id(START)


def built(*resources: Any, **more: Any) -> bytes:
    given_: dict[str, Any] = {
        "source": "clinic-1",
        "destinations": ["hospital"],
        "resources": resources,
        "exchange_id": EXCHANGE,
        "now": START,
    }
    return message.build("referral.request/1", **(given_ | more))


def sent(*resources: Any, **more: Any) -> Message:
    return message.read(built(*resources, **more), now=START)


def changed(raw: bytes, change: Any) -> bytes:
    bundle = json.loads(raw)
    change(bundle)
    return json.dumps(bundle).encode()


def test_a_body_says_who_what_and_to_whom() -> None:
    one = sent(samples.patient(), samples.request(START), response_to=new_id(START))
    assert (one.event, one.exchange_id, one.source) == ("referral.request/1", EXCHANGE, "clinic-1")
    assert one.destinations == ("hospital",)
    assert [each["resourceType"] for each in one.resources] == ["Patient", "ServiceRequest"]
    assert one.one("Patient")["name"][0]["text"] == "欧阳秀英"
    assert one.header["focus"] == [{"reference": f"Patient/{samples.PATIENT}"}]
    assert len(one.response_to) == 36
    assert sent(samples.patient(), destinations=()).destinations == ()


def test_each_resource_stands_in_the_body_with_its_own_bytes() -> None:
    odd = b'{ "id":"a-1" ,\n"resourceType":"Observation","status":"final","code":{"text":"\\u4e2d"}'
    odd += b',"subject":{"reference":"Patient/' + samples.PATIENT.encode() + b'"}'
    odd += b',"valueQuantity":{"value":36.50}}'
    raw = built(samples.patient(), odd)
    one = message.read(raw, now=START)
    assert one.bytes_of(1) == odd
    assert one.original(one.resources[1]) == odd
    assert one.bytes_of(0) == gate.dump(samples.patient())
    assert gate.parse(raw)["entry"][2]["fullUrl"] == systems.BASE + "Observation/a-1"
    with pytest.raises(Refusal):
        one.original(samples.request(START))


def test_a_resource_without_an_id_gets_one() -> None:
    one = sent(message.parameters(service="orthopaedics"))
    assert len(one.resources[0]["id"]) == 36
    with pytest.raises(Refusal):
        built(b'{"resourceType":"Parameters"}')


def entry(number: int, **changes: Any) -> Any:
    return lambda bundle: bundle["entry"][number].update(changes)


BROKEN: dict[str, tuple[Any, str]] = {
    "another bundle type": (lambda b: b.update(type="transaction"), "fhir.bundle"),
    "no bundle": (lambda b: b.update(resourceType="Patient"), "fhir.bundle"),
    "no entries": (lambda b: b.update(entry=[]), "fhir.bundle"),
    "links of a search": (lambda b: b.update(total=2), "fhir.bundle"),
    "a request in an entry": (
        entry(1, request={"method": "POST", "url": "Patient"}),
        "fhir.bundle",
    ),
    "header not first": (lambda b: b["entry"].reverse(), "fhir.bundle"),
    "two headers": (lambda b: b["entry"].append(b["entry"][0]), "fhir.full_url"),
    "twice the same": (lambda b: b["entry"].append(b["entry"][1]), "fhir.full_url"),
    "a foreign full URL": (entry(1, fullUrl="https://evil.test/Patient/1"), "fhir.full_url"),
    "a full URL of another id": (entry(1, fullUrl=systems.BASE + "Patient/b"), "fhir.full_url"),
    "no text for a full URL": (entry(1, fullUrl=1), "fhir.full_url"),
    "an entry that is no object": (lambda b: b["entry"].append("x"), "fhir.bundle"),
    "another system of events": (
        lambda b: b["entry"][0]["resource"]["eventCoding"].update(system="http://a.test"),
        "fhir.required",
    ),
    "an endpoint that could be called": (
        lambda b: b["entry"][0]["resource"]["source"].update(endpoint="https://evil.test/"),
        "fhir.value",
    ),
    "a bad time": (lambda b: b.update(timestamp="yesterday"), "fhir.value"),
    "a resource that is refused": (
        lambda b: b["entry"][1]["resource"].update(gender="zzz"),
        "fhir.code",
    ),
    "another patient": (
        lambda b: b["entry"][2]["resource"]["subject"].update(reference="Patient/other"),
        "fhir.reference_open",
    ),
    "a urn that is not here": (
        lambda b: b["entry"][2]["resource"]["requester"].update(
            reference="urn:uuid:0198f000-0000-7000-8000-000000000099"
        ),
        "fhir.reference_open",
    ),
    "contained that is not there": (
        lambda b: b["entry"][2]["resource"]["requester"].update(reference="#a"),
        "fhir.reference_open",
    ),
}


@pytest.mark.parametrize(("change", "code"), BROKEN.values(), ids=list(BROKEN))
def test_a_body_that_does_not_fit_together_is_refused(change: Any, code: str) -> None:
    raw = changed(built(samples.patient(), samples.request(START)), change)
    with pytest.raises(Refusal) as refused:
        message.read(raw, now=START)
    assert refused.value.code == code


def test_the_path_tells_the_entry() -> None:
    raw = changed(built(samples.patient()), lambda b: b["entry"][1]["resource"].update(gender="z"))
    with pytest.raises(Refusal) as refused:
        message.read(raw, now=START)
    assert refused.value.facts["path"] == "Bundle.entry[1]:Patient.gender"


def test_ten_thousand_entries_are_too_many() -> None:
    raw = changed(built(samples.patient()), lambda b: b.update(entry=b["entry"] * 5_000))
    with pytest.raises(Refusal) as refused:
        message.read(raw, now=START)
    assert refused.value.kind is RefusalKind.TOO_LARGE


def test_what_cannot_be_read_is_not_built() -> None:
    with pytest.raises(Refusal):
        built(samples.patient() | {"gender": "zzz"})


def test_urn_full_urls_and_what_they_name() -> None:
    raw = built(samples.patient(), samples.request(START))

    def by_urn(bundle: Any) -> None:
        urn = f"urn:uuid:{samples.PATIENT}"
        bundle["entry"][1]["fullUrl"] = urn
        bundle["entry"][0]["resource"]["focus"][0]["reference"] = urn
        bundle["entry"][2]["resource"]["subject"]["reference"] = urn

    assert message.read(changed(raw, by_urn), now=START).one("Patient")


def test_a_patient_may_stay_outside_when_none_is_inside() -> None:
    assert sent(samples.request(START)).resources


def test_a_bundle_inside_answers_for_its_own_references() -> None:
    inner: dict[str, Any] = {
        "resourceType": "Bundle",
        "id": "b",
        "type": "collection",
        "entry": [
            {"fullUrl": systems.BASE + f"Patient/{samples.PATIENT}", "resource": samples.patient()},
            {"fullUrl": systems.BASE + "x", "resource": samples.report(START)},
        ],
    }
    assert sent(inner).resources
    inner["entry"][1]["resource"]["subject"]["reference"] = "Patient/other"
    with pytest.raises(Refusal):
        built(inner)


def test_json_of_our_own_comes_back() -> None:
    terms = {"services": [{"code": "ortho", "quota": 12, "open": None}], "fee": Decimal("80.00")}
    one = sent(message.json_part("terms", terms), message.json_part("note", [1]))
    assert message.json_of(one, "terms") == terms
    assert message.json_of(one, "note") == [1]
    assert message.json_bytes_of(one, "note") == b"[1]"
    with pytest.raises(Refusal) as refused:
        message.json_of(one, "charter")
    assert refused.value.code == "fhir.part"
    with pytest.raises(ValueError, match="lower case"):
        message.json_part("Terms of Use", {})


def test_json_of_our_own_passes_the_gate_too() -> None:
    part = message.json_part("terms", {}) | {
        "data": base64.b64encode(b'{"a":1,"a":2}').decode("ascii")
    }
    with pytest.raises(Refusal) as refused:
        message.json_of(sent(part), "terms")
    assert refused.value.code == "fhir.duplicate_key"


names = st.text("abcdefgh_", min_size=1, max_size=6)
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(
    str.strip
)
scalars = (
    st.booleans()
    | st.integers(-(2**52), 2**52)
    | st.decimals(places=2, min_value=-999, max_value=999)
    | texts
    | st.dates(date(1900, 1, 1))
    | st.integers(0, 4_000_000_000_000).map(
        lambda ms: datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
    )
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(names, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(names, trees, max_size=5))
def test_facts_come_back(values: dict[str, Any]) -> None:
    assert message.parameters_of(sent(message.parameters(**values))) == values


def test_facts_leave_out_what_is_empty() -> None:
    one = sent(message.parameters(a=None, b="", c=[], d={}, e={"x": None}, f=[""], g=0, h=False))
    assert message.parameters_of(one) == {"g": 0, "h": False}


def test_facts_of_several_names() -> None:
    one = sent(message.parameters(a=1), message.parameters("consent", a=2))
    assert message.parameters_of(one, "consent") == {"a": 2}
    with pytest.raises(Refusal):
        message.parameters_of(sent(message.parameters(), message.parameters()))


@pytest.mark.parametrize("value", [1.5, object(), 2**60])
def test_facts_take_nothing_that_could_change(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        message.parameters(a=value)


def test_a_list_of_one_item_is_not_a_dict() -> None:
    with pytest.raises(ValueError, match="item"):
        message.parameters(a={"item": 1})

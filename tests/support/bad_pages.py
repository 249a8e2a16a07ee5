"""What tests of bad inputs do with the pages of the real app, and read from them."""

import re
from typing import Any

from httpx2 import Response
from sqlalchemy import func, select

from consortium.exchange.tables import OutboxRow
from consortium.records.tables import ResourceTable
from tests.support.real_world import World

QUESTION = "夜间阵发性呼吸困难两周，请评估"
LINES = ("发生了", "还在", "怎么办")
OTHER = "01a20b12-9ba8-7a9b-8295-0ad612ecbfff"
ENTRY = {
    "name": "吴桂兰", "sex": "female", "birth": "1959-03-14", "no_number_reason": "not_at_hand",
    "number_kind": "id_number", "phone": "13800003027", "address": "石桥镇",
}  # fmt: skip
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000b49444154789c63f8"
    "0f040009fb03fdfb5e6b2b0000000049454e44ae426082"
)


def told(answer: Response) -> tuple[int, str]:
    """Status and code of a refusal on a page, whose three sentences are there."""
    assert 'class="refused"' in answer.text, (answer.status_code, answer.headers, answer.text[:500])
    said = answer.text.split('class="refused"', 1)[1].split("</section>", 1)[0]
    code = re.findall(r'class="fine mono">([\w.]+)<', said)[-1]
    if "<dl>" in said:
        assert [one for one in LINES if f"<dt>{one}</dt>" in said] == list(LINES)
        assert len(re.findall(r"<dd>[^<]+", said)) == 3
    assert "Traceback" not in answer.text
    return answer.status_code, code


def exchange_of(page: Response) -> str:
    return str(page.text.split('name="exchange" value="', 1)[1].split('"', 1)[0])


def patient(world: World, name: str = "wu") -> str:
    return str(world.told["patients"][name])


def main_of(answer: Response) -> str:
    return answer.text.split("<main", 1)[1].split("</main>", 1)[0]


def referral(world: World, login: str = "han", name: str = "li", **changes: Any) -> Response:
    """Fill in the referral form and press a button of it."""
    browser = world.browser(login)
    about = patient(world, name)
    page = browser.get(f"/referrals/new?about={about}")
    return browser.post("/referrals/new", sheet(about, exchange_of(page), **changes))


def sheet(about: str, exchange: str, **changes: Any) -> dict[str, Any]:
    return {
        "patient": about, "exchange": exchange, "target": "lead/cardiology", "urgency": "routine",
        "question": QUESTION, "diagnosis": "高血压 3 级", "diagnosis_code": "I10",
        "history": "近一周加重", "medication": "氨氯地平", "allergies": "无",
        "consent": "explicit", "consent_note": "患者本人签字", "systolic": "150",
        "diastolic": "92", "pulse": "80", "do": "send", **changes,
    }  # fmt: skip


def sent(world: World, folder: str = "shiqiao", kind: str = "referral.request/1") -> int:
    with world.nodes[folder].database.read() as session:
        query = select(func.count()).select_from(OutboxRow).where(OutboxRow.kind == kind)
        return session.scalar(query) or 0


def booking(world: World, login: str, slot: str, about: str, **changes: Any) -> Response:
    browser = world.browser(login)
    page = browser.get(f"/bookings/new?about={about}&service=cardiology")
    fields = {"patient": about, "exchange": exchange_of(page), "service": "cardiology",
              "slot": slot, "urgency": "routine", "question": QUESTION,
              "consent": "explicit"}  # fmt: skip
    return browser.post("/bookings/new", {**fields, **changes})


def free(world: World, login: str = "han") -> list[str]:
    page = world.browser(login).get(f"/bookings/new?about={patient(world)}&service=cardiology").text
    return list(dict.fromkeys(re.findall(r'name="slot" value="([^"]+)"', page)))


def released(world: World) -> tuple[str, str]:
    """The hospital releases its records of a patient to the clinic; case and one record."""
    about = patient(world, "zhong")
    browser = world.browser("han")
    page = browser.get(f"/records/new?about={about}")
    fields = {"patient": about, "exchange": exchange_of(page), "to": "lead", "basis": "explicit",
              "types": ["DiagnosticReport", "Observation", "Condition"], "months": "12",
              "question": "调整用药前看既往结果"}  # fmt: skip
    answer = browser.post("/records/new", fields, [("picture", ("a.png", PNG, "image/png"))])
    assert answer.status_code == 303, told(answer)
    case = answer.headers["location"].rpartition("/")[2]
    world.settle()
    with world.nodes["shiqiao"].database.read() as session:
        found = session.scalars(select(ResourceTable.id).where(ResourceTable.case_id == case)).all()
    assert found, browser.get(f"/records/requests/{case}").text
    return case, str(found[0])

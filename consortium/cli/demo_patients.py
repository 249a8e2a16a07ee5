"""The demo's patients: names, places and findings are made up by us."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from consortium.kernel.actor import Actor
from consortium.patients import service as patients
from consortium.patients import snapshot
from consortium.patients.model import Entry, Fact, FactKind

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
# no such county: the demo's numbers belong to nobody
_AREA = "341299"


@dataclass(frozen=True, slots=True)
class Sketch:
    """A patient of the demo with what the clinic knows of them."""

    name: str
    sex: str
    birth: str
    diagnosis: str
    code: str
    vitals: tuple[str, str, str]
    medication: str = ""
    allergy: str = ""


SKETCHES = {
    "zhong": Sketch(
        "钟秀英", "female", "1962-04-11", "慢性肾脏病 3 期", "N18.3", ("152", "88", "78"),
        "缬沙坦 80 mg 每日一次",
    ),
    "ma": Sketch(
        "马德顺", "male", "1968-09-02", "急性胸痛待查", "R07.4", ("168", "96", "104"),
        "", "青霉素：皮疹",
    ),
    "li": Sketch(
        "李长庚", "male", "1965-01-23", "2 型糖尿病，血糖控制不佳", "E11.9", ("138", "82", "76"),
        "二甲双胍 500 mg 每日两次",
    ),
    "chen": Sketch(
        "陈水根", "male", "1954-07-30", "冠心病，稳定型心绞痛", "I20.8", ("146", "84", "72"),
        "阿司匹林 100 mg 每日一次",
    ),
    "zhao": Sketch(
        "赵巧云", "female", "1981-03-08", "反复头痛伴左侧肢体麻木", "R51", ("142", "90", "80"),
    ),
    "sun": Sketch(
        "孙有田", "male", "1960-12-19", "腰椎间盘突出症", "M51.2", ("134", "80", "70"),
    ),
    "qian": Sketch(
        "钱玉梅", "female", "1988-06-05", "子宫肌瘤", "D25.9", ("118", "74", "72"),
    ),
    "zheng": Sketch(
        "郑来福", "male", "1956-02-14", "慢性阻塞性肺疾病急性加重", "J44.1", ("136", "78", "92"),
        "噻托溴铵 18 μg 每日一次",
    ),
    "he": Sketch(
        "何秀莲", "female", "1972-10-27", "颈椎病", "M47.8", ("126", "78", "74"),
    ),
    "wu": Sketch(
        "吴桂兰", "female", "1959-03-14", "高血压 3 级", "I10", ("172", "98", "84"),
        "氨氯地平 5 mg 每日一次",
    ),
}  # fmt: skip


def number_of(one: Sketch) -> str:
    """A well-formed identity number (GB 11643) of an area that does not exist."""
    serial = "015" if one.sex == "male" else "026"
    body = f"{_AREA}{one.birth.replace('-', '')}{serial}"
    total = sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True))
    return body + _CHECKS[total % 11]


def register(session: Session, actor: Actor, one: Sketch, *, now: datetime) -> str:
    """Register a patient at the actor's member with diagnosis and vitals of the day."""
    entry = Entry(
        name=one.name,
        sex=one.sex,
        birth=one.birth,
        number=number_of(one),
        phone="0558-6211201",
        address="清源县石桥镇",
    )
    made = patients.register(session, actor=actor, entry=entry, now=now, confirmed=True).patient
    facts = [Fact(FactKind.DIAGNOSIS, one.diagnosis, one.code)]
    for code, value in zip(("systolic", "diastolic", "pulse"), one.vitals, strict=True):
        facts.append(Fact(FactKind.VITAL, value, code))
    if one.medication:
        facts.append(Fact(FactKind.MEDICATION, one.medication))
    facts.append(
        Fact(FactKind.ALLERGY, one.allergy) if one.allergy else Fact(FactKind.ALLERGY, "", "none")
    )
    snapshot.note(
        session, actor=actor, member=actor.member, patient=made.id, facts=facts, at=now, now=now
    )
    return str(made.id)

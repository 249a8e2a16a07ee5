"""The demo's own consortium: places, people and passwords are made up by us."""

from dataclasses import dataclass

from consortium.kernel.actor import Role

HUB, LEAD, SHIQIAO, YUNLING = "consortium", "lead", "shiqiao", "yunling"
WEIJIAN = "weijian"


@dataclass(frozen=True, slots=True)
class Place:
    """A member of the demo; `phone` is its desk's."""

    member: str
    name_zh: str
    name_en: str
    phone: str
    address: str
    seal_passphrase: str


@dataclass(frozen=True, slots=True)
class Person:
    """A sign-in of the demo. `node` is the member at whose node the person signs in."""

    login: str
    name: str
    member: str
    roles: frozenset[Role]
    password: str


CONSORTIUM = Place(
    HUB,
    "清源县医疗联合体",
    "Qingyuan County Medical Consortium",
    "0558-6200000",
    "清源县府前路 1 号",
    "demo consortium seal",
)
HOSPITAL = Place(
    LEAD,
    "清源市第一人民医院",
    "Qingyuan First People's Hospital",
    "0558-6200120",
    "清源市人民路 18 号",
    "demo hospital seal",
)
CLINICS = (
    Place(
        SHIQIAO, "石桥镇卫生院", "Shiqiao Township Clinic", "0558-6211201", "石桥镇桥南街 6 号",
        "demo shiqiao seal",
    ),
    Place(
        YUNLING, "云岭乡卫生院", "Yunling Township Clinic", "0558-6233402", "云岭乡卫生院路 2 号",
        "demo yunling seal",
    ),
)  # fmt: skip
REGULATOR = Place(
    WEIJIAN,
    "清源县卫生健康局",
    "Qingyuan County Health Bureau",
    "0558-6201100",
    "清源县府前路 3 号",
    "demo weijian seal",
)
SERVICES = (
    "cardiology", "neurology", "endocrinology", "orthopedics", "nephrology", "respiratory",
    "gynecology", "pediatrics",
)  # fmt: skip

PEOPLE = (
    Person(
        "gaoyuan", "高远", HUB,
        frozenset({Role.CONSORTIUM_ADMIN, Role.HEAD, Role.MEMBER_ADMIN}), "qingyuan-2026-admin",
    ),
    Person(
        "lin", "林国栋", LEAD, frozenset({Role.HEAD, Role.MEMBER_ADMIN}), "renmin-2026-head",
    ),
    Person("gu", "顾明远", LEAD, frozenset({Role.SPECIALIST}), "renmin-2026-doctor"),
    Person("song", "宋佳", LEAD, frozenset({Role.CONSULT_DESK}), "renmin-2026-desk"),
    Person(
        "chen", "陈立", SHIQIAO, frozenset({Role.HEAD, Role.MEMBER_ADMIN}), "shiqiao-2026-head",
    ),
    Person("han", "韩素云", SHIQIAO, frozenset({Role.TOWNSHIP_DOCTOR}), "shiqiao-2026-doctor"),
    Person(
        "tang", "唐文", YUNLING, frozenset({Role.HEAD, Role.MEMBER_ADMIN}), "yunling-2026-head",
    ),
    Person("bai", "白露", YUNLING, frozenset({Role.TOWNSHIP_DOCTOR}), "yunling-2026-doctor"),
)  # fmt: skip
INSPECTOR = Person(
    "kong", "孔维正", WEIJIAN,
    frozenset({Role.REGULATOR, Role.HEAD, Role.MEMBER_ADMIN}), "weijian-2026-audit",
)  # fmt: skip


def person(login: str) -> Person:
    """A person of the demo by sign-in name."""
    return next(one for one in (*PEOPLE, INSPECTOR) if one.login == login)


def place(member: str) -> Place:
    """A member of the demo."""
    return next(one for one in (CONSORTIUM, HOSPITAL, *CLINICS, REGULATOR) if one.member == member)

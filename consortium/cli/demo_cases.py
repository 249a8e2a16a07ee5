"""The demo's story: a contract, a week of slots, ten cases in different states."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from consortium.cli.demo_contract import make_contract
from consortium.cli.demo_patients import SKETCHES, register
from consortium.cli.demo_people import LEAD
from consortium.cli.demo_world import DemoWorld
from consortium.kernel.actor import Actor
from consortium.kernel.ids import new_id
from consortium.kernel.time import ZONE
from consortium.referrals import answering
from consortium.referrals import service as referrals
from consortium.referrals.acting import Doing
from consortium.referrals.content import ReportText
from consortium.scheduling import publishing
from consortium.scheduling import service as scheduling
from consortium.scheduling.model import SessionKind
from consortium.scheduling.publishing import Week
from consortium.teleconsult import service as teleconsult
from consortium.wiring import Node

DOCTOR, SPECIALIST, DESK = "han", "gu", "song"
_SLOT_MIN = 30
Act = Callable[[Session, Doing, Node], object]


class Story:
    """Tells the story on the world's clock; `before` counts back from its end."""

    def __init__(self, world: DemoWorld, *, until: datetime) -> None:
        self.world = world
        self.until = until
        self.patients: dict[str, str] = {}

    def at(self, **before: float) -> None:
        """Let time pass up to a moment before the story's end, and everybody sync."""
        self.world.clock.pass_to(self.until - timedelta(**before))
        self.world.settle()

    def do(self, login: str, what: Act) -> object:
        """One person does one thing; then it travels."""

        def act(session: Session, actor: Actor, node: Node, now: datetime) -> object:
            return what(session, Doing(actor, node.post, new_id(now), now), node)

        done = self.world.act(login, act)
        self.world.settle()
        return done

    def patient(self, name: str) -> str:
        if name not in self.patients:
            self.patients[name] = str(
                self.do(
                    DOCTOR,
                    lambda s, doing, _n: register(s, doing.actor, SKETCHES[name], now=doing.now),
                )
            )
        return self.patients[name]

    def refer(self, name: str, service: str, urgency: str, question: str) -> str:
        """The doctor refers a patient to the lead hospital."""
        patient, one = self.patient(name), SKETCHES[name]
        fields = {
            "target": f"{LEAD}/{service}",
            "urgency": urgency,
            "question": question,
            "diagnosis": one.diagnosis,
            "diagnosis_code": one.code,
            "history": f"{one.diagnosis}，近一周加重，已在本院对症处理。",
            "medication": one.medication,
            "allergies": one.allergy,
            "consent": "emergency" if urgency == "emergency" else "explicit",
            "consent_note": "患者本人签字",
            "systolic": one.vitals[0],
            "diastolic": one.vitals[1],
            "pulse": one.vitals[2],
        }

        def request(session: Session, doing: Doing, node: Node) -> str:
            signer = node.keyring.signer(doing.actor)
            return referrals.request(session, doing, patient=patient, fields=fields, signer=signer)

        return str(self.do(DOCTOR, request))

    def claim(self, case: str) -> None:
        self.do(SPECIALIST, lambda s, doing, _n: answering.claim(s, case, doing))

    def accept(self, case: str, *, slot: str = "", date: datetime | None = None) -> None:
        def act(session: Session, doing: Doing, node: Node) -> None:
            signer = node.keyring.signer(doing.actor)
            answering.accept(
                session, case, doing, signer=signer, slot=slot, date=date, place="门诊三楼"
            )

        self.do(SPECIALIST, act)

    def send_back(self, case: str, *absent: str) -> None:
        self.do(SPECIALIST, lambda s, doing, _n: answering.send_back(s, case, doing, absent=absent))

    def decline(self, case: str, reason: str, note: str) -> None:
        def act(session: Session, doing: Doing, node: Node) -> None:
            signer = node.keyring.signer(doing.actor)
            answering.decline(session, case, doing, reason=reason, note=note, signer=signer)

        self.do(SPECIALIST, act)

    def arrive(self, case: str) -> None:
        self.do(DESK, lambda s, doing, _n: answering.arrive(s, case, doing))

    def report(self, case: str, text: ReportText) -> None:
        def act(session: Session, doing: Doing, node: Node) -> None:
            signer = node.keyring.signer(doing.actor)
            answering.report(session, case, doing, text=text, signer=signer)

        self.do(SPECIALIST, act)

    def acknowledge(self, case: str) -> None:
        self.do(
            DOCTOR, lambda s, doing, _n: referrals.acknowledge(s, case, doing, adoption="adopted")
        )

    def publish_week(self, service: str, kind: SessionKind, starts: tuple[datetime, ...]) -> None:
        def act(session: Session, doing: Doing, node: Node) -> object:
            return publishing.publish(
                session,
                Week(service, kind, starts, _SLOT_MIN),
                actor=doing.actor,
                post=node.post,
                exchange=doing.exchange,
                now=doing.now,
            )

        self.do(SPECIALIST, act)

    def free_slot(self, login: str, service: str, kind: SessionKind, *, after: datetime) -> str:
        """The first free slot from a moment on, as this person's node finds it."""
        actor = self.world.actors[login]
        node = self.world.node_of(actor.member)
        with node.database.read() as session:
            found = scheduling.free(
                session,
                node.post,
                member=actor.member,
                service=service,
                kind=kind,
                now=max(after, self.world.clock.now()),
            )
        return found.slots[0].name

    def book(self, name: str, service: str, question: str, *, after: datetime) -> None:
        """The doctor books a teleconsultation."""
        slot = self.free_slot(DOCTOR, service, SessionKind.TELECONSULT, after=after)
        patient = self.patient(name)

        def act(session: Session, doing: Doing, node: Node) -> object:
            return teleconsult.request(
                session,
                teleconsult.Form(slot, "routine", question, "explicit"),
                patient=patient,
                actor=doing.actor,
                post=node.post,
                signer=node.keyring.signer(doing.actor),
                exchange=doing.exchange,
                now=doing.now,
            )

        self.do(DOCTOR, act)


def working_days(first: datetime, count: int) -> list[datetime]:
    """Midnights in the charter's zone of the next working days, the first day included."""
    day = first.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[datetime] = []
    while len(found) < count:
        if day.weekday() < 5:
            found.append(day)
        day += timedelta(days=1)
    return found


def half_day(days: list[datetime], hour: int, slots: int) -> tuple[datetime, ...]:
    """Starts of consecutive slots from an hour on, on each of these days."""
    return tuple(
        day + timedelta(hours=hour, minutes=_SLOT_MIN * number)
        for day in days
        for number in range(slots)
    )


def tell_story(world: DemoWorld, *, until: datetime) -> None:
    """Let five days pass in the consortium, up to `until`."""
    story = Story(world, until=until)
    make_contract(world)
    story.at(days=4, hours=20)
    days = working_days(until + timedelta(days=1), 5)
    for service in ("cardiology", "endocrinology", "pediatrics"):
        hour = {"cardiology": 9, "endocrinology": 14, "pediatrics": 16}[service]
        story.publish_week(service, SessionKind.TELECONSULT, half_day(days, hour, 3))
    story.publish_week("gynecology", SessionKind.CLINIC, half_day(days, 8, 2))
    story.publish_week("cardiology", SessionKind.CLINIC, half_day(days, 11, 2))
    _closed_and_reported(story)
    _under_way(story, days[0])
    world.clock.pass_to(until)
    world.settle()


def _closed_and_reported(story: Story) -> None:
    """Cases that went the whole way in the last days."""
    story.at(days=4, hours=18)
    closed = story.refer("wu", "cardiology", "urgent", "血压难以控制，请评估并调整用药。")
    story.claim(closed)
    story.accept(closed, date=story.until - timedelta(days=3))
    reported = story.refer("chen", "cardiology", "routine", "活动后胸闷，请评估是否需要造影。")
    story.accept(reported, date=story.until - timedelta(days=2))
    returned = story.refer("zhong", "nephrology", "urgent", "蛋白尿加重，请评估肾功能并指导用药。")
    story.send_back(returned, "labs", "medication")
    story.at(days=3)
    story.arrive(closed)
    story.report(
        closed,
        ReportText(
            "高血压 3 级，很高危",
            "动态血压平均 158/92 mmHg，心脏彩超未见室壁运动异常。",
            "氨氯地平改为 10 mg 每日一次，加用缬沙坦 80 mg；两周后复测血压。",
        ),
    )
    story.acknowledge(closed)
    story.at(days=2)
    story.arrive(reported)
    story.at(days=1, hours=4)
    story.report(
        reported,
        ReportText(
            "冠心病，稳定型心绞痛",
            "冠脉造影：前降支中段狭窄约 50%，未置支架。",
            "继续阿司匹林，加用阿托伐他汀 20 mg 每晚一次；每月随访一次。",
        ),
    )
    declined = story.refer("he", "neurology", "routine", "颈肩痛伴手麻，请评估。")
    story.decline(declined, "manage_locally", "可先行颈椎牵引与理疗，两周无效再上转。")


def _under_way(story: Story, tomorrow: datetime) -> None:
    """Cases that wait for somebody today."""
    story.at(hours=22)
    booked = story.refer("qian", "gynecology", "routine", "月经量多，子宫肌瘤增大，请评估手术。")
    slot = story.free_slot(SPECIALIST, "gynecology", SessionKind.CLINIC, after=story.until)
    story.accept(booked, slot=slot)
    waiting = story.refer("zheng", "respiratory", "routine", "咳喘加重，夜间不能平卧，请收住院。")
    story.accept(waiting, date=tomorrow + timedelta(days=2, hours=10))
    story.book("li", "endocrinology", "空腹血糖 11.8，请调整降糖方案。", after=story.until)
    story.at(hours=3)
    emergency = story.refer("ma", "cardiology", "emergency", "胸痛 2 小时，心电图 ST 段抬高。")
    story.claim(emergency)
    story.accept(emergency, date=story.until - timedelta(hours=1))
    story.at(hours=2)
    story.arrive(emergency)
    triage = story.refer("zhao", "neurology", "urgent", "突发头痛伴左侧麻木，请排除脑血管病。")
    story.at(hours=1)
    story.claim(triage)
    story.at(minutes=20)
    story.refer("sun", "orthopedics", "routine", "腰腿痛三月，保守治疗无效，请评估手术。")

"""Short ways to the records of the world of clinics: a house full of them, asking, answering."""

from datetime import timedelta
from typing import Any

from consortium.desk import service as desk
from consortium.exchange import blobs
from consortium.fhir import clinical
from consortium.records import answering, library, service
from tests.consortium.teleconsult.stage import PNG
from tests.consortium.teleconsult.world import Clinics

NUMBER = "512425195903141626"
DAY = timedelta(days=1)


def person(world: Clinics, by: str, **changes: str) -> str:
    return world.patient(by, **{"number": NUMBER, "no_number_reason": "", **changes})


def add(world: Clinics, resource: dict[str, Any], patient: str) -> None:
    with world.writing("lu") as session:
        library.add(session, resource, member="lead", patient=patient, now=world.clock.now())


def house(world: Clinics, patient: str, *, results: int = 2) -> None:
    """Records at the hospital: results of this year, an old one, a diagnosis, a draft report."""
    now, who = world.clock.now(), f"Patient/{patient}"
    for n in range(results):
        add(
            world,
            clinical.vital(
                id_=f"pulse-{n}", patient=who, name="pulse", value=70 + n, taken=now - (n + 1) * DAY
            ),
            patient,
        )
    old = clinical.vital(id_="old", patient=who, name="pulse", value=60, taken=now - 900 * DAY)
    told = clinical.condition(
        id_="dx", patient=who, text="冠心病", code="I25.1", recorded=now - 30 * DAY
    )
    report = clinical.diagnostic_report(
        id_="draft",
        patient=who,
        title="心超",
        conclusion="未签发",
        issued=now - DAY,
        performer="Organization/lead",
        status="preliminary",
    )
    for one in (old, told, report):
        add(world, one, patient)


def ask(
    world: Clinics,
    patient: str,
    *,
    types: tuple[str, ...] = ("Observation",),
    basis: str = "explicit",
    covers: tuple[str, ...] = (),
    months: int = 12,
    name: str = "han",
    picture: bytes = PNG,
) -> str:
    doing = world.doing(name)
    with world.writing(name) as session:
        image = ""
        if basis == "explicit" and picture:
            files = world.members[doing.actor.member].store
            image = blobs.seal(
                session, files, picture, name="consent.png", content_type="image/png",
                now=doing.now,
            ).id  # fmt: skip
        form = service.Form("lead", types, months, basis, "调整用药前看既往结果", image, covers)
        return service.request(
            session,
            form,
            patient=patient,
            actor=doing.actor,
            post=doing.post,
            signer=world.key(name),
            exchange=doing.exchange,
            now=doing.now,
        )


def at(world: Clinics, name: str, case: str) -> service.Request:
    with world.reading(name) as session:
        return service.request_of(session, case, actor=world.actor(name))


def kept(world: Clinics, patient: str, *, name: str = "han") -> list[library.Record]:
    with world.reading(name) as session:
        return list(library.of_patient(session, actor=world.actor(name), patient=patient).rows)


def need(world: Clinics, name: str, case: str) -> str:
    with world.reading(name) as session:
        line = desk.row(session, member=world.actor(name).member, case=case)
    return line.row.need if line is not None and line.open else ""


def review(world: Clinics, case: str, chosen: str = "") -> answering.Review:
    with world.writing("desk") as session:
        return answering.review(
            session, case, actor=world.actor("desk"), chosen=chosen, now=world.clock.now()
        )


def release(world: Clinics, case: str, patient: str, *, exchange: str = "") -> None:
    doing = world.doing("desk", exchange)
    with world.writing("desk") as session:
        answering.release(
            session,
            case,
            patient=patient,
            actor=doing.actor,
            post=doing.post,
            signer=world.key("desk"),
            exchange=doing.exchange,
            now=doing.now,
        )


def refuse(world: Clinics, case: str, reason: str) -> None:
    doing = world.doing("desk")
    with world.writing("desk") as session:
        answering.refuse(
            session,
            case,
            reason=reason,
            text="请核对姓名",
            actor=doing.actor,
            post=doing.post,
            signer=world.key("desk"),
            exchange=doing.exchange,
            now=doing.now,
        )

"""Contracts on the worklist: the rows and notices that the contracts room below asks for."""

from datetime import datetime

from sqlalchemy.orm import Session

from consortium.contracts.notices import News, Notices, Waiting
from consortium.desk import service
from consortium.desk.model import DeskRow
from consortium.kernel.ids import CaseId, MemberId


class ContractRows(Notices):
    """Writes them to the desk."""

    def put(self, session: Session, waiting: Waiting, *, now: datetime) -> None:
        row = DeskRow(
            member=MemberId(waiting.member),
            case=CaseId(waiting.contract),
            topic="contract",
            urgency="routine",
            patient=None,
            patient_name="",
            patient_sex="",
            patient_birth=None,
            need=waiting.need,
            need_params={},
            source=waiting.source,
            source_params=waiting.params,
            state=waiting.need,
            turn="mine",
            turn_name=waiting.whose,
            roles=waiting.roles,
            due_at=None,
            started_at=waiting.started_at,
            link=waiting.link,
        )
        service.put(session, row, now=now)

    def close(self, session: Session, *, member: str, contract: str, now: datetime) -> None:
        service.close(session, member=member, case=contract, now=now)

    def tell(self, session: Session, news: News, *, now: datetime) -> None:
        service.notify(
            session,
            member=news.member,
            case=news.contract,
            word=news.word,
            params={"title": news.title, "party": news.party},
            link=news.link,
            roles=news.roles,
            now=now,
            about=news.about,
        )

    def moved(self, session: Session) -> None:
        service.redraw(session)

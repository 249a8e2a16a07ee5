"""A consortium in miniature for rooms' tests: their kinds judged, folded and applied in order.

No keys, no ledger, no link: those have tests of their own. One database a member, one list of
exchanges on their way, one shared state; everything that a room gives is real.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy.orm import Session

from consortium.exchange import state
from consortium.exchange.facts import check
from consortium.exchange.header import EVERYONE, Header
from consortium.exchange.kinds import ExchangeKind, Opened, SubjectType, parties
from consortium.exchange.outbox import Draft, Post, Queued
from consortium.fhir import message as messages
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal

START = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


@dataclass
class MiniValues:
    """Shared state as `judge` reads it, from a dict."""

    all: Mapping[str, Mapping[str, Any]]

    def get(self, name: str) -> Mapping[str, Any] | None:
        return self.all.get(name)

    def link(self, name: str) -> tuple[str, Mapping[str, Any] | None]:
        subject, _, fact = name.partition(">")
        target = str((self.all.get(subject) or {}).get(fact) or "")
        return target, self.all.get(target) if target else None


@dataclass
class MiniPost:
    """Takes what a room sends. `offline` keeps it from the hub and from its answers."""

    mini: "Mini"
    member: str
    sent: list[Draft] = field(default_factory=list)
    offline: bool = False

    @property
    def members(self) -> frozenset[str]:
        return frozenset({self.member})

    def send(self, session: Session, draft: Draft, *, now: datetime) -> Queued:
        again = any(one.id == draft.id for one in self.mini.known)
        if not again:
            refusal = self.mini.early(self.member, draft)
            if refusal is not None:
                raise refusal
            self.sent.append(draft)
            self.mini.known.append(draft)
            self.mini.queue.append(draft)
        return Queued(draft.id, draft.kind, "routine", 1, "queued", now, again=again)

    def preview(self, session: Session, draft: Draft, *, now: datetime) -> Refusal | None:
        return self.mini.early(self.member, draft)

    def query(self, member: str, name: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        if self.offline:
            return None
        with self.mini.databases["lead"].read() as session:
            answer = self.mini.queries[name](session, member, params)
        return {"answer": answer, "index": self.mini.index, "time_ms": self.mini.ms()}


@dataclass(frozen=True)
class Verdict:
    """What became of one exchange."""

    id: str
    kind: str
    ok: bool
    code: str


class Mini:
    """Members `lead` (where the hub is) and clinics, each with a database."""

    def __init__(
        self,
        new_database: Callable[[], Database],
        kinds: Iterable[ExchangeKind],
        subjects: Iterable[SubjectType],
        *,
        queries: Mapping[str, Callable[..., Any]] | None = None,
        members: tuple[str, ...] = ("lead", "shiqiao", "yunling"),
    ) -> None:
        self.now = START
        self.index = 0
        self.kinds = {kind.name: kind for kind in kinds}
        self.families = {one.prefix: one for one in (*subjects, SubjectType("case", parties))}
        self.queries = queries or {}
        self.databases = {member: new_database() for member in members}
        self.posts = {member: MiniPost(self, member) for member in members}
        self.values: dict[str, Mapping[str, Any]] = {}
        self.known: list[Draft] = []
        self.queue: list[Draft] = []
        self.verdicts: list[Verdict] = []
        self.refuse_next: Refusal | None = None
        self.people: dict[str, str] = {}

    def post(self, member: str) -> Post:
        return cast("Post", self.posts[member])

    def ms(self) -> int:
        return int(self.now.timestamp() * 1000)

    def advance(self, **length: float) -> datetime:
        self.now += timedelta(**length)
        return self.now

    def early(self, member: str, draft: Draft) -> Refusal | None:
        """What the sender's own checks say: rules of the facts, and judge where it holds all."""
        kind, header, facts, _ = self._opened(draft)
        if refusal := check(dict(facts), kind.rules):
            return refusal
        names = kind.subjects(header, facts)
        if any(name.startswith("slot:") or ">slot" in name for name in names) and member != "lead":
            return None
        if any(one.case == draft.case and draft.case for one in self.queue):
            return None
        verdict = kind.judge(MiniValues(self.values), header, facts, self.now)
        return verdict if isinstance(verdict, Refusal) else None

    def deliver(self) -> list[Verdict]:
        """Take everything that is on its way, in order, to the hub and back to all."""
        done: list[Verdict] = []
        while self.queue:
            done.append(self._admit(self.queue.pop(0)))
        self.verdicts += done
        return done

    def _opened(self, draft: Draft) -> tuple[ExchangeKind, Header, Mapping[str, Any], Any]:
        kind = self.kinds[draft.kind]
        message = messages.read(draft.body, now=self.now)
        facts = kind.facts_of(message)
        header = Header(
            id=draft.id,
            kind=draft.kind,
            sender=draft.sender,
            to=draft.to,
            node=f"node-{draft.sender}",
            lane=kind.lane(facts),
            seq=1,
            prev="-",
            facts="-",
            body="-",
            at="-",
            contract=draft.contract,
            case=draft.case,
            purpose=draft.purpose,
        )
        return kind, header, facts, message

    def _admit(self, draft: Draft) -> Verdict:
        kind, header, facts, message = self._opened(draft)
        values = MiniValues(self.values)
        refusal = check(dict(facts), kind.rules)
        judged = refusal or self.refuse_next or kind.judge(values, header, facts, self.now)
        self.refuse_next = None
        self.index += 1
        made = SimpleNamespace(kind=kind, header=header, facts=facts, message=message)
        if isinstance(judged, Refusal):
            self._apply(draft.sender, made, {}, code=judged.code)
            return Verdict(draft.id, draft.kind, False, judged.code)
        words = ("v1", *judged.split())
        names = [values.link(one)[0] if ">" in one else one for one in kind.subjects(header, facts)]
        before = {name: self.values.get(name) for name in names if name}
        for name in before:
            new = kind.step(name, self.values.get(name), header, facts, self.now, words)
            if new is not None and new != self.values.get(name):
                self.values[name] = new
                self._write(name, new)
        everyone = self.databases if header.everyone else header.members
        for member in everyone:
            if member in self.databases:
                self._apply(member, made, before, words=words)
        return Verdict(draft.id, draft.kind, True, judged)

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        audience = self.families[name.partition(":")[0]].audience(name, value)
        for member, database in self.databases.items():
            # the hub holds all shared state, and stands in the lead hospital
            if member == "lead" or EVERYONE in audience or member in audience:
                with database.write() as session:
                    known = frozenset({name} if state.read(session, name) is not None else ())
                    state.write(session, {name: (value, self.index)}, known)

    def _apply(
        self,
        member: str,
        made: Any,
        before: Mapping[str, Any],
        *,
        words: tuple[str, ...] = (),
        code: str = "",
    ) -> None:
        opened = Opened(
            member=member,
            header=made.header,
            facts=made.facts,
            message=made.message,
            index=self.index,
            time=self.now,
            outcome=words,
            now=self.now,
            post=self.post(member),
            code=code,
            before=before,
        )
        with self.databases[member].write() as session:
            if code:
                made.kind.refused(session, opened)
                return
            refusal = None if opened.mine else made.kind.inspect(session, opened)
            if refusal is not None:
                raise refusal
            made.kind.apply(session, opened)

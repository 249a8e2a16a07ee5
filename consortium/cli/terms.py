"""`consortium contract`: terms in plain words, and whether they hold together."""

from pathlib import Path

import orjson
import typer
from sqlalchemy.orm import Session

from consortium import wiring
from consortium.cli.app import language
from consortium.contracts import model, plain
from consortium.contracts.terms import Terms, from_tree, parse
from consortium.exchange import state
from consortium.kernel.database import Database
from consortium.kernel.errors import invalid, missing
from consortium.kernel.time import to_ms
from consortium.members import directory
from consortium.settings import Settings
from consortium.words import say


def show(settings: Settings, contract: str) -> None:
    """Print a contract that this node holds: its state, its parties, each clause.

    Raises:
        Refusal: `contract.missing`.
    """
    lang = language()
    database = Database(settings.database_url)
    now_ms = to_ms(wiring.SystemClock().now())
    try:
        with database.read() as session:
            value = state.read(session, f"contract:{contract}")
            if value is None:
                raise missing("contract.missing")
            version = value["version"] or len(value["versions"])
            terms = from_tree(value["parties"], value["versions"][str(version)]["terms"])
            standing = model.status(value, time_ms=now_ms)
            typer.echo(f"{contract} v{version} {say(f'contract.state.{standing}', lang)}")
            _clauses(session, terms, lang)
    finally:
        database.close()


def lint(settings: Settings, file: Path) -> int:
    """Print what contradicts itself in terms (JSON, the document form); 1 if anything does.

    Raises:
        Refusal: `cli.not_json`, `contract.terms` with the field that cannot be read.
    """
    lang = language()
    try:
        _title, terms = parse(orjson.loads(file.read_bytes()))
    except orjson.JSONDecodeError:
        raise invalid("cli.not_json") from None
    findings = model.lint(terms)
    database = Database(settings.database_url)
    try:
        with database.read() as session:
            for one in findings:
                typer.echo(f"{one.clause}  {_weight(one, lang)}: {_said(session, one, lang)}")
            if not findings:
                _clauses(session, terms, lang)
                typer.echo(say("cli.terms.sound", lang))
    finally:
        database.close()
    return int(any(one.blocks for one in findings))


def _clauses(session: Session, terms: Terms, lang: str) -> None:
    def name(member: str) -> str:
        return directory.name(session, member)

    named = "; ".join(name(member) for member in terms.parties)
    typer.echo(f"{say('cli.terms.parties', lang)} {named}")
    for clause in plain.clauses(terms):
        typer.echo(f"{clause.number:<4} {plain.sentence(clause, lang, name)}")


def _weight(finding: model.Finding, lang: str) -> str:
    return say("cli.terms.blocks" if finding.blocks else "cli.terms.doubt", lang)


def _said(session: Session, finding: model.Finding, lang: str) -> str:
    params = dict(finding.params)
    if "member" in params:
        params["member"] = directory.name(session, params["member"])
    if "urgency" in params:
        params["urgency"] = say(f"contract.urgency.{params['urgency']}", lang)
    return say(f"contract.lint.{finding.code}", lang, **params)

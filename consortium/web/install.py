"""Puts the pages on an app: guard, static files, routes, answers to refusals."""

from datetime import timedelta
from importlib.resources import files
from typing import Final

from anyio import CapacityLimiter
from fastapi import APIRouter, Depends, FastAPI
from starlette.staticfiles import StaticFiles

from consortium.web import (
    account,
    alarms,
    booking_form,
    contract_acts,
    contract_drafts,
    contracts,
    drafts,
    errors,
    events,
    helping,
    ledger,
    members,
    outbox,
    patients,
    people,
    receipt_check,
    receipts,
    record_form,
    records,
    referral_acts,
    referral_form,
    referrals,
    scheduling,
    search,
    signin,
    slip,
    teleconsult,
    worklist,
)
from consortium.web.guard import Guard, guarded
from consortium.web.node import WebNode
from consortium.web.session import Sessions

ROUTERS: Final[tuple[APIRouter, ...]] = (
    worklist.router,
    signin.router,
    events.router,
    drafts.router,
    outbox.router,
    ledger.router,
    alarms.router,
    receipt_check.router,
    receipts.router,
    search.router,
    helping.router,
    people.router,
    members.router,
    account.router,
    contract_drafts.router,
    contract_acts.router,
    contracts.router,
    patients.router,
    referral_form.router,
    slip.router,
    referral_acts.router,
    referrals.router,
    scheduling.router,
    booking_form.router,
    teleconsult.router,
    record_form.router,
    records.router,
)
"""Every page. A room's pages are added here."""


def install(app: FastAPI, node: WebNode) -> None:
    """Give the app its pages. The app's own routes for programs come before, or after, as well."""
    app.state.node = node
    settings = node.settings
    app.state.sessions = Sessions(
        idle=timedelta(minutes=settings.idle_lock_min),
        mark=f"{settings.web_process}." if settings.web_processes > 1 else "",
    )
    app.state.running, app.state.sent = {}, {}
    app.state.event_threads = CapacityLimiter(events.THREADS)
    app.add_middleware(Guard)
    errors.install(app)
    static = files("consortium.web").joinpath("static")
    app.mount("/static", StaticFiles(directory=str(static)), name="static")
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(guarded)], include_in_schema=False)

"""Every part of pages on one page, and whole pages as rooms compose them; invented people."""

# ruff: noqa: E501 - tables of invented words are read in lines

import time
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from starlette.responses import Response

from consortium.desk import drafts
from consortium.kernel.errors import conflict
from consortium.web import tree
from consortium.web.deps import Now, PageRoute, SignedIn, Writing
from consortium.web.guard import guarded
from consortium.web.pages import after, render
from consortium.web.signed import signed
from consortium.web.views import (
    Act,
    Attachment,
    Cell,
    Check,
    Clause,
    Due,
    Knot,
    Option,
    Patient,
    Refused,
    Service,
    Side,
    Signature,
    Slip,
    Step,
    Usage,
    Week,
)

router = APIRouter(route_class=PageRoute, dependencies=[Depends(guarded), Depends(signed)])
NOW = datetime(2026, 11, 24, 2, 12, tzinfo=UTC)


def patient() -> Patient:
    return Patient(
        name="蒋月娥", sex="female", born=date(1963, 5, 2), id_tail="6841",
        extras=(("健康卡", "LJ-0039150"), ("医保", "城乡居民"), ("住", "石桥镇柳条村")),
        allergies=("青霉素（皮疹）",),
    )  # fmt: skip


def knots() -> list[Knot]:
    at = NOW - timedelta(hours=3)
    return [
        Knot("轮到心内科分诊", "now", who="陆怀安 10:06 领取"),
        Knot("补充后重发", "on", at, lines=("补：肌钙蛋白、复查心电图",), exchange="e1", index=48178, signer="韩素云"),
        Knot("退回补充", "on", at - timedelta(hours=15), lines=("缺 2 项，只退一次",), exchange="e2", index=48135, signer="陆怀安"),
        Knot("改派骨科", "refuse", at - timedelta(hours=15), lines=("骨科本月名额已满",), exchange="e3", index=48134, signer="韩素云"),
        Knot("提交上转", "wait", at - timedelta(hours=16), lines=("协议 v3 第 2.1 款；同意书已附",), exchange="e4"),
        Knot("报告回传", ""),
    ]  # fmt: skip


def refusal() -> Refused:
    return Refused(
        "contract.quota", "协议 2.3 款每月 15 人，今天已满", "单子和附件都在本机，没有丢", "县医院骨科 11-26 有 2 个号；急危不受限",
        title="骨科本月名额已满", clause="2.3",
        acts=(Act("改投县医院骨科", "/", main=True), Act("改为急危", "/"), Act("排队等 12 月", "/", post=True)),
    )  # fmt: skip


def week() -> Week:
    def cell(look: str, label: str) -> Cell:
        return Cell(look, label, f"周一 08:30 {label}", value="x")  # type: ignore[arg-type]

    free = cell("free", "公共")
    return Week(
        days=[("周一", "11-30"), ("周二", "12-01"), ("周三", "12-02"), ("周四", "12-03"), ("周五", "12-04"), ("周六", "12-05")],
        rows=[
            ("08:30", [free, cell("allot", "石桥镇"), free, cell("allot", "柳湾乡"), free, free]),
            ("09:00", [cell("busy", "常保田"), cell("allot", "石桥镇"), free, free, free, cell("plus", "加号")]),
            ("午休 12:00–14:00", []),
            ("14:00", [free, None, cell("held", "保留 3:12"), cell("off", "停诊"), cell("move", "方小梅 待改期"), None]),
        ],
        caption="一周号源，行为半小时，列为日",
    )  # fmt: skip


def slip(*, verified: bool) -> Slip:
    checks = [
        Check("签名对", "原样字节，没有被改过", "ok" if verified else "no"),
        Check("在账本里", "16 个摘要算出的总账与公布的一致", "ok" if verified else "wait"),
        Check("接得上", "本院加急通道第 62 件，前一件无缺口", "ok"),
        Check("有人见证", "总账 48 213 条，8 家中 7 家联署", "ok"),
        Check("对方认", "对方还没确认收到", "wait"),
    ]
    return Slip(
        exchange="e1", title="上转 · 补充后重发", index=48178, at=NOW, verified=verified,
        rows=[("送了什么", "转诊单 1 份、检验 1 份、心电图 1 份，共 244 KB"), ("谁签的", "石桥镇卫生院 韩素云"), ("给谁", "市人民医院 心内科；07:24:41 送达")],
        digest="9f42 c07d 11ab 6e83 d05c 7719 e4b8 20fa", checks=checks, size=48213, steps=16, took_ms=38,
        witnesses=[("石桥镇", "10:12", True), ("大坪乡", "10:09", True), ("河口镇", "断网 3 天", False)], quorum="7 / 8",
    )  # fmt: skip


@router.get("/gallery/parts")
def parts(request: Request) -> Response:
    """Every macro at least once."""
    return render(
        request,
        "gallery/parts.html",
        dues=[
            Due("还剩 22 小时", "明日 08:41 前", "", 8),
            Due("还有 18 分", "10:30 开始", "soon", 83),
            Due("超时 1 小时 42 分", "今日 08:30 到期", "late", 100),
        ],
        knots=knots(),
        steps_all=[
            Step("起草", "秦可立 11-18", "on"), Step("要约", "11-19，账本 47 655", "on"),
            Step("一方已签", "石桥镇 11-23", "on"), Step("等联盟签署", "今日 17:00 前", "now"), Step("生效", "计划 12-01 00:00"),
        ],
        refusal=refusal(),
        sides=[
            Side("您这台", "10:06 韩素云", [("电话", "尾号 4417")], Act("用这个", "/", post=True)),
            Side("护士站", "09:58 谭小云", [("电话", "尾号 4471")], Act("用这个", "/", post=True)),
        ],
        week=week(),
        files=[
            Attachment("a", "心电图 今日 09:51", 184_000, chosen=True), Attachment("b", "血常规、血糖 今日", 6_000, chosen=True),
            Attachment("c", "胸片 2025-08", 1_900_000, link_words="约 8 分钟"),
        ],
        clauses_all=[
            Clause("2.1", "最多 40 人；急危不占名额。", "service=cardiology quota=40", "满额时常规单被拒", old="最多 30 人", changed=True),
            Clause("2.4", "远程会诊每月 8 次，内分泌科与心内科均可。", "teleconsult quota=8", "本月已用 4 次"),
            Clause("5.3", "划拨给石桥镇的号，开诊前 24 小时没用就放回公共。", "allot.release=24 h", changed=True, note="新增。"),
        ],
        signatures=[Signature("石桥镇卫生院", "院长 沈砚秋", NOW, 48131), Signature("澜江市医联体", "待用本机构印章签署")],
        usage_all=[Usage("心内科接收", 28, 30, 80), Usage("远程会诊", 4, 8, 80), Usage("骨科", 15, 15, 80)],
    )  # fmt: skip


@router.get("/gallery/form")
def form_page(request: Request) -> Response:
    """A referral form as picture 02."""
    urgencies = [
        Option("emergency", "急危", "30 分钟", "emergency"),
        Option("urgent", "加急", "4 小时", "urgent"),
        Option("routine", "常规", "1 个工作日", "routine"),
    ]
    services = [
        Service("a", "市人民医院 心内科", "11-26 周四 09:20", "首答中位 2.6 小时", "划拨号剩 3，断网可约", "green", "hard-drive"),
        Service("b", "市人民医院 胸痛门诊", "11-27 周五 14:00", "公共号剩 5，联网后才能约　首答中位 3.1 小时"),
        Service("c", "市中医院 心病科", "", "本院协议第 2 条没有这项服务；需要时请联盟办发起补充协议", "协议未含", "", "ban", off=True),
    ]  # fmt: skip
    return render(
        request, "gallery/form.html", page="referrals", patient=patient(), urgencies=urgencies, services=services,
        files=[Attachment("a", "心电图 今日 09:51", 184_000, chosen=True), Attachment("b", "血常规、血糖 今日", 6_000, chosen=True), Attachment("c", "用药清单 5 种", 2_000, chosen=True), Attachment("d", "胸片 2025-08", 1_900_000, link_words="约 8 分钟")],
        consents=[Option("a", "屏幕手写签名"), Option("b", "纸质件拍照"), Option("c", "情况紧急，事后补")],
        missing=[("troponin", "肌钙蛋白，或注明未做", "心内科要求"), ("consent", "知情同意", "协议 3.2 款")],
    )  # fmt: skip


@router.get("/gallery/receipt")
def receipt_page(request: Request, broken: bool = False) -> Response:
    """A receipt as picture 07."""
    return render(
        request, "gallery/receipt.html", page="outbox", slip=slip(verified=not broken),
        drawing=tree.draw(index=48178, size=48213, steps=16), broken=broken,
    )  # fmt: skip


@router.get("/gallery/case")
def case_page(request: Request) -> Response:
    """A case as picture 03."""
    return render(
        request,
        "gallery/case.html",
        page="triage",
        patient=patient(),
        knots=knots(),
        refusal=refusal(),
    )


SENT: list[tuple[str, int]] = []
"""What the draft form sent: its question, the bytes of its file."""


@router.get("/gallery/draft")
def draft_page(request: Request, session: Writing, actor: SignedIn, now: Now) -> Response:
    """A form that saves itself."""
    draft = drafts.begin(session, actor=actor, form="gallery", now=now)
    return render(request, "gallery/draft.html", draft=draft)


@router.post("/gallery/sent")
def send(
    request: Request,
    question: Annotated[str, Form()] = "",
    upload: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Take the form; slowly, so that a second press could get in."""
    time.sleep(0.4)
    SENT.append((question, len(upload.file.read()) if upload is not None else 0))
    return after(request, "/gallery/sent")


@router.get("/gallery/sent")
def was_sent(request: Request) -> Response:
    """What came, then forgotten."""
    sent = list(SENT)
    SENT.clear()
    return render(request, "gallery/sent.html", sent=sent)


@router.post("/gallery/refuse")
def refuse() -> Response:
    """A piece of a page that is refused."""
    raise conflict("web.form", field="x")

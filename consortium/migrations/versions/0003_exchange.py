"""exchange."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _alarm_seen()
    _blob()
    _blob_use()
    _chain_head()
    _closing()
    _closing_subject()
    _exchange_entry()
    _feed()
    _feed_cursor()
    _feed_head()
    _inbox()
    _member_ack()
    _node_mark()
    _outbox()
    _own_head()
    _recover_body()
    _recover_piece()
    _recover_promised()
    _replay_finding()
    _shared_state()


def _alarm_seen() -> None:
    op.create_table(
        "alarm_seen",
        sa.Column("alarm", sa.String(length=160), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("alarm", name=op.f("pk_alarm_seen")),
    )


def _blob() -> None:
    op.create_table(
        "blob",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("content_type", sa.String(length=100), nullable=False),
        sa.Column("secret", sa.String(length=80), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_blob")),
    )


def _blob_use() -> None:
    op.create_table(
        "blob_use",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "exchange", name=op.f("pk_blob_use")),
    )
    with op.batch_alter_table("blob_use", schema=None) as batch_op:
        batch_op.create_index("ix_blob_use_exchange", ["exchange"], unique=False)
        batch_op.create_index("ix_blob_use_state", ["state"], unique=False)


def _chain_head() -> None:
    op.create_table(
        "chain_head",
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=8), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=43), nullable=False),
        sa.PrimaryKeyConstraint("node", "lane", name=op.f("pk_chain_head")),
    )


def _closing() -> None:
    op.create_table(
        "closing",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=43), nullable=False),
        sa.Column("feeds", sa.String(length=43), nullable=False),
        sa.Column("chains", sa.String(length=43), nullable=False),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_closing")),
    )


def _closing_subject() -> None:
    op.create_table(
        "closing_subject",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column(
            "subject",
            sa.String(length=200).with_variant(sa.String(length=200, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("month", "subject", name=op.f("pk_closing_subject")),
    )


def _exchange_entry() -> None:
    op.create_table(
        "exchange_entry",
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("exchange", sa.String(length=64), nullable=False),
        sa.Column("jws_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=8), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("sameness", sa.LargeBinary(length=32), nullable=False),
        sa.Column("verdict", sa.String(length=200), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_exchange_entry")),
        sa.UniqueConstraint("jws_hash", name=op.f("uq_exchange_entry_jws_hash")),
        sa.UniqueConstraint("node", "lane", "seq", name=op.f("uq_exchange_entry_node_lane_seq")),
    )
    with op.batch_alter_table("exchange_entry", schema=None) as batch_op:
        batch_op.create_index("ix_exchange_entry_exchange", ["exchange"], unique=False)


def _feed() -> None:
    op.create_table(
        "feed",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("running", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("member", "number", name=op.f("pk_feed")),
        sa.UniqueConstraint("member", "entry", name=op.f("uq_feed_member_entry")),
    )


def _feed_cursor() -> None:
    op.create_table(
        "feed_cursor",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("running", sa.LargeBinary(length=32), nullable=False),
        sa.Column("to_ack", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", name=op.f("pk_feed_cursor")),
    )


def _feed_head() -> None:
    op.create_table(
        "feed_head",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("begun", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("running", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("member", name=op.f("pk_feed_head")),
    )


def _inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("running", sa.LargeBinary(length=32), nullable=False),
        sa.Column("exchange", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=200), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("alarm", sa.String(length=64), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=True),
        sa.Column("witnessed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("member", "entry", name=op.f("pk_inbox")),
        sa.UniqueConstraint("member", "number", name=op.f("uq_inbox_member_number")),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index("ix_inbox_case", ["member", "case_id", "entry"], unique=False)
        batch_op.create_index("ix_inbox_exchange", ["exchange"], unique=False)
        batch_op.create_index("ix_inbox_state", ["member", "state", "entry"], unique=False)
        batch_op.create_index("ix_inbox_witnessed", ["member", "witnessed", "entry"], unique=False)


def _member_ack() -> None:
    op.create_table(
        "member_ack",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", name=op.f("pk_member_ack")),
    )


def _node_mark() -> None:
    op.create_table(
        "node_mark",
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_node_mark")),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=8), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("jws", sa.LargeBinary(), nullable=False),
        sa.Column("jws_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("hint", sa.String(length=64), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("waiting_since", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("entry", sa.BigInteger(), nullable=True),
        sa.Column("verdict", sa.String(length=200), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=True),
        sa.Column("receipt", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("jws_hash", name=op.f("uq_outbox_jws_hash")),
        sa.UniqueConstraint("node", "lane", "seq", name=op.f("uq_outbox_node_lane_seq")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index("ix_outbox_case", ["case_id", "queued_at"], unique=False)
        batch_op.create_index("ix_outbox_queued", ["queued_at", "id"], unique=False)
        batch_op.create_index("ix_outbox_state", ["state", "lane", "seq"], unique=False)


def _own_head() -> None:
    op.create_table(
        "own_head",
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=8), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=43), nullable=False),
        sa.PrimaryKeyConstraint("node", "lane", name=op.f("pk_own_head")),
    )


def _recover_body() -> None:
    op.create_table(
        "recover_body",
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_recover_body")),
    )


def _recover_piece() -> None:
    op.create_table(
        "recover_piece",
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("givers", sa.Text(), nullable=False),
        sa.Column("sender_body", sa.Boolean(), nullable=False),
        sa.Column("proven", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "leaf_hash", name=op.f("pk_recover_piece")),
    )


def _recover_promised() -> None:
    op.create_table(
        "recover_promised",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("giver", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_recover_promised")),
    )


def _replay_finding() -> None:
    op.create_table(
        "replay_finding",
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("aspect", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("said", sa.String(length=200), nullable=False),
        sa.Column("found", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "aspect", name=op.f("pk_replay_finding")),
    )


def _shared_state() -> None:
    op.create_table(
        "shared_state",
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_shared_state")),
    )

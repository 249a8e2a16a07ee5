"""desk."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _desk_draft()
    _desk_key()
    _desk_message()
    _desk_notice()
    _desk_notice_seen()
    _desk_read()
    _desk_row()
    _desk_version()
    _desk_visit()


def _desk_draft() -> None:
    op.create_table(
        "desk_draft",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("form", sa.String(length=120), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=64), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("saved_at", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("clause", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "form", name=op.f("pk_desk_draft")),
        sa.UniqueConstraint("exchange", name=op.f("uq_desk_draft_exchange")),
    )
    with op.batch_alter_table("desk_draft", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_desk_draft_member_saved_at"), ["member", "saved_at"], unique=False
        )


def _desk_key() -> None:
    op.create_table(
        "desk_key",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("word", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("member", "word", "case_id", name=op.f("pk_desk_key")),
    )
    with op.batch_alter_table("desk_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_desk_key_case_id"), ["case_id"], unique=False)


def _desk_message() -> None:
    op.create_table(
        "desk_message",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("member", "exchange", name=op.f("pk_desk_message")),
    )
    with op.batch_alter_table("desk_message", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_desk_message_member_case_id_at"),
            ["member", "case_id", "at"],
            unique=False,
        )


def _desk_notice() -> None:
    op.create_table(
        "desk_notice",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("word", sa.String(length=100), nullable=False),
        sa.Column("about", sa.String(length=64), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("roles", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("link", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_notice")),
        sa.UniqueConstraint(
            "member",
            "case_id",
            "word",
            "about",
            name=op.f("uq_desk_notice_member_case_id_word_about"),
        ),
    )
    with op.batch_alter_table("desk_notice", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_desk_notice_member_at"), ["member", "at"], unique=False
        )


def _desk_notice_seen() -> None:
    op.create_table(
        "desk_notice_seen",
        sa.Column("notice", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("notice", "user_id", name=op.f("pk_desk_notice_seen")),
    )


def _desk_read() -> None:
    op.create_table(
        "desk_read",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", "exchange", name=op.f("pk_desk_read")),
    )


def _desk_row() -> None:
    op.create_table(
        "desk_row",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=32), nullable=False),
        sa.Column("urgency", sa.String(length=16), nullable=False),
        sa.Column("urgency_rank", sa.Integer(), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=True),
        sa.Column("patient_name", sa.String(length=200), nullable=False),
        sa.Column("patient_sex", sa.String(length=16), nullable=False),
        sa.Column("patient_birth", sa.Date(), nullable=True),
        sa.Column("need", sa.String(length=100), nullable=False),
        sa.Column("need_params", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("source_params", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=100), nullable=False),
        sa.Column("act", sa.String(length=100), nullable=False),
        sa.Column("turn", sa.String(length=8), nullable=False),
        sa.Column("turn_rank", sa.Integer(), nullable=False),
        sa.Column("turn_name", sa.String(length=200), nullable=False),
        sa.Column("roles", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("numbers", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("push_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("link", sa.String(length=200), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("member", "case_id", name=op.f("pk_desk_row")),
    )
    with op.batch_alter_table("desk_row", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_desk_row_member_open_turn_rank_urgency_rank_started_at_case_id"),
            ["member", "open", "turn_rank", "urgency_rank", "started_at", "case_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_desk_row_member_patient"), ["member", "patient"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_desk_row_member_version"), ["member", "version"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_desk_row_open_push_at"), ["open", "push_at"], unique=False
        )


def _desk_version() -> None:
    op.create_table(
        "desk_version",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_version")),
    )


def _desk_visit() -> None:
    op.create_table(
        "desk_visit",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_version", sa.BigInteger(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=True),
        sa.Column("since_version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_desk_visit")),
    )

"""referrals."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _referral_act()
    _referral_case()
    _referral_resource()


def _referral_act() -> None:
    op.create_table(
        "referral_act",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", "exchange", name=op.f("pk_referral_act")),
    )
    with op.batch_alter_table("referral_act", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_referral_act_member_case_id_at"),
            ["member", "case_id", "at"],
            unique=False,
        )


def _referral_case() -> None:
    op.create_table(
        "referral_case",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("side", sa.String(length=16), nullable=False),
        sa.Column("other", sa.String(length=64), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("open_key", sa.String(length=160), nullable=True),
        sa.Column("patient", sa.String(length=64), nullable=True),
        sa.Column("patient_ref", sa.String(length=80), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("urgency", sa.String(length=16), nullable=False),
        sa.Column("contract", sa.String(length=64), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("author_user", sa.String(length=64), nullable=False),
        sa.Column("claimed_by", sa.String(length=200), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("session", sa.String(length=64), nullable=False),
        sa.Column("pending", sa.String(length=64), nullable=False),
        sa.Column("pending_action", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("clause", sa.String(length=64), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", "case_id", name=op.f("pk_referral_case")),
        sa.UniqueConstraint("member", "number", name=op.f("uq_referral_case_member_number")),
        sa.UniqueConstraint("member", "open_key", name=op.f("uq_referral_case_member_open_key")),
    )
    with op.batch_alter_table("referral_case", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_referral_case_member_opened_at_case_id"),
            ["member", "opened_at", "case_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_referral_case_member_patient_case_id"),
            ["member", "patient", "case_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_referral_case_state_session"),
            ["state", "session"],
            unique=False,
        )


def _referral_resource() -> None:
    op.create_table(
        "referral_resource",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", "type", "id", name=op.f("pk_referral_resource")),
    )
    with op.batch_alter_table("referral_resource", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_referral_resource_member_type_patient_id"),
            ["member", "type", "patient", "id"],
            unique=False,
        )

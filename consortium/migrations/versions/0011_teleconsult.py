"""teleconsult."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _teleconsult_booking()


def _teleconsult_booking() -> None:
    op.create_table(
        "teleconsult_booking",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=64), nullable=False),
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.Column("other", sa.String(length=64), nullable=False),
        sa.Column("contract", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("urgency", sa.String(length=16), nullable=False),
        sa.Column("consent", sa.String(length=16), nullable=False),
        sa.Column("slot", sa.String(length=80), nullable=False),
        sa.Column("session", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("holder_name", sa.String(length=200), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("clause", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("author", sa.String(length=64), nullable=False),
        sa.Column("author_name", sa.String(length=200), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("patient_ref", sa.String(length=64), nullable=False),
        sa.Column("patient_name", sa.String(length=200), nullable=False),
        sa.Column("patient_sex", sa.String(length=16), nullable=False),
        sa.Column("patient_birth", sa.String(length=10), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", "case_id", name=op.f("pk_teleconsult_booking")),
        sa.UniqueConstraint(
            "member", "exchange", name=op.f("uq_teleconsult_booking_member_exchange")
        ),
    )
    _teleconsult_booking_indices()


def _teleconsult_booking_indices() -> None:
    with op.batch_alter_table("teleconsult_booking", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_teleconsult_booking_member_patient"), ["member", "patient"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_teleconsult_booking_member_start_at_case_id"),
            ["member", "start_at", "case_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_teleconsult_booking_session_state"), ["session", "state"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_teleconsult_booking_state_start_at"), ["state", "start_at"], unique=False
        )

"""scheduling."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _scheduling_seen()
    _scheduling_session()
    _scheduling_template()
    _scheduling_cell()


def _scheduling_seen() -> None:
    op.create_table(
        "scheduling_seen",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", "service", "kind", name=op.f("pk_scheduling_seen")),
    )


def _scheduling_session() -> None:
    op.create_table(
        "scheduling_session",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("holder_name", sa.String(length=200), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("starts", sa.Text(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduling_session")),
    )
    with op.batch_alter_table("scheduling_session", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_scheduling_session_provider_holder_first_at"),
            ["provider", "holder", "first_at"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_scheduling_session_service_kind_state_last_at"),
            ["service", "kind", "state", "last_at"],
            unique=False,
        )


def _scheduling_template() -> None:
    op.create_table(
        "scheduling_template",
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("starts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("holder", name=op.f("pk_scheduling_template")),
    )


def _scheduling_cell() -> None:
    op.create_table(
        "scheduling_cell",
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("session", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["session"],
            ["scheduling_session.id"],
            name=op.f("fk_scheduling_cell_session"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("holder", "at", name=op.f("pk_scheduling_cell")),
    )
    with op.batch_alter_table("scheduling_cell", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_scheduling_cell_session"), ["session"], unique=False)

"""contracts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _contract_acts()
    _contract_documents()
    _contract_drafts()
    _contract_holds()


def _contract_acts() -> None:
    op.create_table(
        "contract_acts",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=64), nullable=False),
        sa.Column("contract", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("second", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", "exchange", name=op.f("pk_contract_acts")),
    )
    with op.batch_alter_table("contract_acts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_contract_acts_member_contract_entry"),
            ["member", "contract", "entry"],
            unique=False,
        )


def _contract_documents() -> None:
    op.create_table(
        "contract_documents",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("contract", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "member", "contract", "version", name=op.f("pk_contract_documents")
        ),
    )
    with op.batch_alter_table("contract_documents", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_contract_documents_member_proposed_at_contract"),
            ["member", "proposed_at", "contract"],
            unique=False,
        )


def _contract_drafts() -> None:
    op.create_table(
        "contract_drafts",
        sa.Column("contract", sa.String(length=64), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=64), nullable=False),
        sa.Column("author_name", sa.String(length=200), nullable=False),
        sa.Column("exchange", sa.String(length=64), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("refused", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("contract", name=op.f("pk_contract_drafts")),
        sa.UniqueConstraint("exchange", name=op.f("uq_contract_drafts_exchange")),
    )
    with op.batch_alter_table("contract_drafts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_contract_drafts_member_updated_at"),
            ["member", "updated_at"],
            unique=False,
        )


def _contract_holds() -> None:
    op.create_table(
        "contract_holds",
        sa.Column("contract", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=64), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("first_user", sa.String(length=64), nullable=False),
        sa.Column("first_member", sa.String(length=64), nullable=False),
        sa.Column("first_name", sa.String(length=200), nullable=False),
        sa.Column("first_key", sa.String(length=64), nullable=False),
        sa.Column("first_signature", sa.String(length=128), nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.Column("seal_signature", sa.String(length=128), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("first_user <> ''", name=op.f("ck_contract_holds_asked_by")),
        sa.PrimaryKeyConstraint("contract", name=op.f("pk_contract_holds")),
        sa.UniqueConstraint("exchange", name=op.f("uq_contract_holds_exchange")),
    )

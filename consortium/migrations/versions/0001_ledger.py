"""ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _ledger_checkpoint()
    _ledger_clock()
    _ledger_cosignature()
    _ledger_entry()
    _ledger_evidence()
    _ledger_freeze()
    _ledger_head()
    _ledger_heard()
    _ledger_own_cosignature()
    _ledger_policy()
    _ledger_seen()
    _ledger_tile()


def _ledger_checkpoint() -> None:
    op.create_table(
        "ledger_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("previous", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint("previous < size", name=op.f("ck_ledger_checkpoint_grows")),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_ledger_checkpoint")),
        sa.UniqueConstraint("previous", name=op.f("uq_ledger_checkpoint_previous")),
    )


def _ledger_clock() -> None:
    op.create_table(
        "ledger_clock",
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("first_person", sa.String(length=64), nullable=False),
        sa.Column("second_person", sa.String(length=64), nullable=False),
        sa.Column("checksum", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint("first_person <> second_person", name=op.f("ck_ledger_clock_two")),
        sa.PrimaryKeyConstraint("at", name=op.f("pk_ledger_clock")),
    )


def _ledger_cosignature() -> None:
    op.create_table(
        "ledger_cosignature",
        sa.Column("witness", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("size > 0", name=op.f("ck_ledger_cosignature_size")),
        sa.PrimaryKeyConstraint("witness", "size", name=op.f("pk_ledger_cosignature")),
    )


def _ledger_entry() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column(
            "entry",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("jws_hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_ledger_entry")),
        sa.UniqueConstraint("jws_hash", name=op.f("uq_ledger_entry_jws_hash")),
    )


def _ledger_evidence() -> None:
    op.create_table(
        "ledger_evidence",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("held", sa.LargeBinary(), nullable=False),
        sa.Column("offered", sa.LargeBinary(), nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_ledger_evidence")),
    )
    with op.batch_alter_table("ledger_evidence", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ledger_evidence_at"), ["at"], unique=False)


def _ledger_freeze() -> None:
    op.create_table(
        "ledger_freeze",
        sa.Column("origin", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("here", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_ledger_freeze")),
    )


def _ledger_head() -> None:
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("frozen", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint("frozen IN (0, 1)", name=op.f("ck_ledger_head_frozen")),
        sa.CheckConstraint("id = 1", name=op.f("ck_ledger_head_one")),
        sa.CheckConstraint("size >= 0", name=op.f("ck_ledger_head_size")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_head")),
    )


def _ledger_heard() -> None:
    op.create_table(
        "ledger_heard",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("tried", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_ledger_heard")),
    )


def _ledger_own_cosignature() -> None:
    op.create_table(
        "ledger_own_cosignature",
        sa.Column("origin", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_ledger_own_cosignature")),
    )


def _ledger_policy() -> None:
    op.create_table(
        "ledger_policy",
        sa.Column(
            "entry",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_ledger_policy")),
    )


def _ledger_seen() -> None:
    op.create_table(
        "ledger_seen",
        sa.Column("origin", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_ledger_seen")),
    )


def _ledger_tile() -> None:
    op.create_table(
        "ledger_tile",
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "position", name=op.f("pk_ledger_tile")),
    )

"""patients."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _patient()
    _patient_counter()
    _patient_look()
    _patient_alias()
    _patient_fact()
    _patient_number()
    _patient_version()
    _patient_word()


def _patient() -> None:
    op.create_table(
        "patient",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("local_number", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sex", sa.String(length=16), nullable=False),
        sa.Column("birth", sa.String(length=10), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("number_kind", sa.String(length=16), nullable=False),
        sa.Column("no_number_reason", sa.String(length=32), nullable=False),
        sa.Column("phone", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=400), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("disputed_with", sa.String(length=64), nullable=False),
        sa.Column("replaced_by", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("member", "id", name=op.f("pk_patient")),
    )
    with op.batch_alter_table("patient", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_patient_member_local_number"), ["member", "local_number"], unique=True
        )
        batch_op.create_index(
            batch_op.f("ix_patient_member_updated_at"), ["member", "updated_at"], unique=False
        )


def _patient_counter() -> None:
    op.create_table(
        "patient_counter",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("member", name=op.f("pk_patient_counter")),
    )


def _patient_look() -> None:
    op.create_table(
        "patient_look",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "minute", name=op.f("pk_patient_look")),
    )


def _patient_alias() -> None:
    op.create_table(
        "patient_alias",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("alias", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["member", "patient"],
            ["patient.member", "patient.id"],
            name=op.f("fk_patient_alias_member_patient"),
        ),
        sa.PrimaryKeyConstraint("member", "alias", name=op.f("pk_patient_alias")),
    )
    with op.batch_alter_table("patient_alias", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_patient_alias_member_patient"), ["member", "patient"], unique=False
        )


def _patient_fact() -> None:
    op.create_table(
        "patient_fact",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("text", sa.String(length=200), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.Column("written_by", sa.String(length=64), nullable=False),
        sa.Column("current", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_why", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["member", "patient"],
            ["patient.member", "patient.id"],
            name=op.f("fk_patient_fact_member_patient"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_fact")),
    )
    with op.batch_alter_table("patient_fact", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_patient_fact_member_patient_current"),
            ["member", "patient", "current"],
            unique=False,
        )


def _patient_number() -> None:
    op.create_table(
        "patient_number",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=32), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["member", "patient"],
            ["patient.member", "patient.id"],
            name=op.f("fk_patient_number_member_patient"),
        ),
        sa.PrimaryKeyConstraint("member", "kind", "value", name=op.f("pk_patient_number")),
    )


def _patient_version() -> None:
    op.create_table(
        "patient_version",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.Column("written_by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["member", "patient"],
            ["patient.member", "patient.id"],
            name=op.f("fk_patient_version_member_patient"),
        ),
        sa.PrimaryKeyConstraint("member", "patient", "version", name=op.f("pk_patient_version")),
    )


def _patient_word() -> None:
    op.create_table(
        "patient_word",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("word", sa.LargeBinary(length=256), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["member", "patient"],
            ["patient.member", "patient.id"],
            name=op.f("fk_patient_word_member_patient"),
        ),
        sa.PrimaryKeyConstraint("member", "word", "patient", name=op.f("pk_patient_word")),
    )
    with op.batch_alter_table("patient_word", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_patient_word_member_patient"), ["member", "patient"], unique=False
        )

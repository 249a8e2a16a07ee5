"""records."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _records_consent()
    _records_grant()
    _records_request()
    _records_resource()
    _records_identifier()


def _records_consent() -> None:
    op.create_table(
        "records_consent",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("basis", sa.String(length=16), nullable=False),
        sa.Column("party", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("types", sa.Text(), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("member", "case_id", name=op.f("pk_records_consent")),
    )
    with op.batch_alter_table("records_consent", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_records_consent_member_patient"), ["member", "patient"], unique=False
        )


def _records_grant() -> None:
    op.create_table(
        "records_grant",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("party", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint(
            "member", "case_id", "party", "patient", name=op.f("pk_records_grant")
        ),
    )
    with op.batch_alter_table("records_grant", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_records_grant_party_patient_until_at"),
            ["party", "patient", "until_at"],
            unique=False,
        )


def _records_request() -> None:
    op.create_table(
        "records_request",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=64), nullable=False),
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.Column("other", sa.String(length=64), nullable=False),
        sa.Column("contract", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("urgency", sa.String(length=16), nullable=False),
        sa.Column("types", sa.Text(), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("why", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("decided_by", sa.String(length=8), nullable=False),
        sa.Column("released", sa.Integer(), nullable=False),
        sa.Column("answer", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("clause", sa.String(length=16), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=64), nullable=False),
        sa.Column("author_name", sa.String(length=200), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("patient_ref", sa.String(length=64), nullable=False),
        sa.Column("patient_name", sa.String(length=200), nullable=False),
        sa.Column("patient_sex", sa.String(length=16), nullable=False),
        sa.Column("patient_birth", sa.String(length=10), nullable=False),
        sa.Column("patient_number", sa.String(length=64), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", "case_id", name=op.f("pk_records_request")),
        sa.UniqueConstraint("member", "exchange", name=op.f("uq_records_request_member_exchange")),
    )
    with op.batch_alter_table("records_request", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_records_request_member_patient"), ["member", "patient"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_records_request_member_side_opened_at_case_id"),
            ["member", "side", "opened_at", "case_id"],
            unique=False,
        )


def _records_resource() -> None:
    op.create_table(
        "records_resource",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("fhir_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("latest", sa.Integer(), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=True),
        sa.Column("end_at", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_records_resource")),
        sa.UniqueConstraint(
            "member",
            "source",
            "type",
            "fhir_id",
            "version",
            name=op.f("uq_records_resource_member_source_type_fhir_id_version"),
        ),
    )
    with op.batch_alter_table("records_resource", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_records_resource_member_exchange"), ["member", "exchange"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_records_resource_member_patient_latest_type_fhir_id"),
            ["member", "patient", "latest", "type", "fhir_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_records_resource_member_type_latest_fhir_id"),
            ["member", "type", "latest", "fhir_id"],
            unique=False,
        )


def _records_identifier() -> None:
    op.create_table(
        "records_identifier",
        sa.Column("resource", sa.String(length=64), nullable=False),
        sa.Column("system", sa.String(length=255), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["resource"],
            ["records_resource.id"],
            name=op.f("fk_records_identifier_resource"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("resource", "system", "value", name=op.f("pk_records_identifier")),
    )
    with op.batch_alter_table("records_identifier", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_records_identifier_value_system"), ["value", "system"], unique=False
        )

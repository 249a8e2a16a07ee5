"""members."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _members_account()
    _members_attempt()
    _members_charter()
    _members_ended_key()
    _members_invitation()
    _members_key_list()
    _members_link()
    _members_organisation()


def _members_account() -> None:
    op.create_table(
        "members_account",
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("member", sa.String(length=32), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("password", sa.String(length=200), nullable=False),
        sa.Column("locked_at", sa.BigInteger(), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=True),
        sa.Column("key_public", sa.String(length=43), nullable=False),
        sa.Column("key_proof", sa.String(length=86), nullable=False),
        sa.Column("key_box", sa.LargeBinary(), nullable=True),
        sa.Column("key_index", sa.BigInteger(), nullable=True),
        sa.Column("key_roles", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("theme", sa.String(length=8), nullable=False),
        sa.Column("large_text", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_members_account")),
        sa.UniqueConstraint("key_id", name=op.f("uq_members_account_key_id")),
        sa.UniqueConstraint("login", name=op.f("uq_members_account_login")),
    )
    with op.batch_alter_table("members_account", schema=None) as batch_op:
        batch_op.create_index("ix_members_account_member", ["member", "login"], unique=False)


def _members_attempt() -> None:
    op.create_table(
        "members_attempt",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_members_attempt")),
    )
    with op.batch_alter_table("members_attempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_members_attempt_last_at"), ["last_at"], unique=False)


def _members_charter() -> None:
    op.create_table(
        "members_charter",
        sa.Column("hash", sa.String(length=43), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_members_charter")),
        sa.UniqueConstraint("entry", name=op.f("uq_members_charter_entry")),
    )


def _members_ended_key() -> None:
    op.create_table(
        "members_ended_key",
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("member", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_members_ended_key")),
    )
    with op.batch_alter_table("members_ended_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_members_ended_key_member"), ["member"], unique=False)


def _members_invitation() -> None:
    op.create_table(
        "members_invitation",
        sa.Column("handle", sa.String(length=8), nullable=False),
        sa.Column("secret", sa.LargeBinary(length=32), nullable=False),
        sa.Column("member", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(length=40), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("answered", sa.String(length=43), nullable=False),
        sa.Column("key_list", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("handle", name=op.f("pk_members_invitation")),
        sa.UniqueConstraint("member", name=op.f("uq_members_invitation_member")),
    )


def _members_key_list() -> None:
    op.create_table(
        "members_key_list",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("member", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_members_key_list")),
    )
    with op.batch_alter_table("members_key_list", schema=None) as batch_op:
        batch_op.create_index("ix_members_key_list_state", ["state", "id"], unique=False)


def _members_link() -> None:
    op.create_table(
        "members_link",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("member", sa.String(length=32), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_members_link")),
    )
    with op.batch_alter_table("members_link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_members_link_user_id"), ["user_id"], unique=False)


def _members_organisation() -> None:
    op.create_table(
        "members_organisation",
        sa.Column("member", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name_zh", sa.String(length=120), nullable=False),
        sa.Column("name_en", sa.String(length=120), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.Column("services", sa.Text(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", name=op.f("pk_members_organisation")),
    )

"""Settings: one reading, no name that does nothing, no secret with a default."""

import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from consortium.kernel.errors import Refusal
from consortium.settings import NODE_FILE, NodeRole, Settings, save


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CONSORTIUM_{name.upper()}", raising=False)


def test_arguments_win_over_environment_over_file_over_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, role="hub", port=8100, language="en", backup_hour=4)
    monkeypatch.setenv("CONSORTIUM_HOME", str(tmp_path))
    monkeypatch.setenv("CONSORTIUM_PORT", "8200")
    monkeypatch.setenv("CONSORTIUM_BACKUP_HOUR", "5")
    settings = Settings.read(backup_hour=6)
    assert (settings.role, settings.language) == (NodeRole.HUB, "en")
    assert (settings.port, settings.backup_hour, settings.idle_lock_min) == (8200, 6, 5)
    assert settings.public_url == "http://127.0.0.1:8200"


def test_what_depends_on_the_folder_is_derived_from_it(tmp_path: Path) -> None:
    settings = Settings.read(tmp_path, role="workstation", hub_url="http://hub.example:8000/")
    assert settings.database_url == f"sqlite:///{tmp_path / 'node.db'}"
    assert settings.backup_dir == tmp_path / "backups"
    assert settings.hub_url == "http://hub.example:8000"
    assert not settings.guard_dir.is_relative_to(tmp_path)


def test_unknown_names_stop_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, role="hub", prot=8100)
    with pytest.raises(Refusal) as refused:
        Settings.read(tmp_path)
    assert (refused.value.code, refused.value.facts) == ("settings.unknown", {"name": "prot"})
    save(tmp_path, role="hub")
    monkeypatch.setenv("CONSORTIUM_GARD_DIR", "elsewhere")
    with pytest.raises(Refusal) as refused:
        Settings.read(tmp_path)
    assert refused.value.facts == {"name": "CONSORTIUM_GARD_DIR"}


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "role"),
        ({"role": "printer"}, "role"),
        ({"role": "mirror"}, ""),
        ({"role": "hub", "port": 0}, "port"),
        ({"role": "hub", "backup_hour": 24}, "backup_hour"),
        ({"role": "hub", "public_url": "clinic"}, "public_url"),
        ({"role": "workstation"}, ""),
        ({"role": "hub", "upload_max_bytes": 2**30}, ""),
    ],
)
def test_a_value_that_does_not_fit_is_named(
    tmp_path: Path, values: dict[str, str | int], name: str
) -> None:
    save(tmp_path, **values)
    with pytest.raises(Refusal) as refused:
        Settings.read(tmp_path)
    assert (refused.value.code, refused.value.facts["name"]) == ("settings.invalid", name)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / NODE_FILE).write_text("role: hub")
    with pytest.raises(Refusal) as refused:
        Settings.read(tmp_path)
    assert refused.value.facts["name"] == NODE_FILE


def test_no_folder_no_start() -> None:
    with pytest.raises(Refusal, match=r"settings\.home"):
        Settings.read()


def test_a_value_cannot_be_changed_later(tmp_path: Path) -> None:
    settings = Settings.read(tmp_path, role="hub")
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_the_password_of_a_database_is_not_shown(tmp_path: Path) -> None:
    settings = Settings.read(tmp_path, role="hub", database_url="postgresql://hub:s3cret@db/hub")
    assert "s3cret" not in repr(settings)


def test_hosts_are_this_machine_its_public_name_and_what_is_added(tmp_path: Path) -> None:
    settings = Settings.read(
        tmp_path, role="hub", public_url="https://hub.example", allowed_hosts="a.example, b.example"
    )
    assert settings.hosts == {"127.0.0.1", "localhost", "hub.example", "a.example", "b.example"}


def test_the_file_is_written_whole_for_its_owner_and_read_back(tmp_path: Path) -> None:
    save(tmp_path, role="hub", emergency_phone='120 "急救"', origin="𠮷县医院\\log")
    assert stat.S_IMODE((tmp_path / NODE_FILE).stat().st_mode) == 0o600
    settings = Settings.read(tmp_path)
    assert (settings.emergency_phone, settings.origin) == ('120 "急救"', "𠮷县医院\\log")
    assert [file.name for file in tmp_path.iterdir()] == [NODE_FILE]

"""The shortcut opens the page, or says in words why it cannot."""

from pathlib import Path

import pytest

from consortium import settings as node_settings
from consortium.cli import autostart, opening
from consortium.settings import Settings

HUB = "http://127.0.0.1:9"


class Browser:
    """Notes what it is asked to open."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, url: str) -> bool:
        self.seen.append(url)
        return True

    @property
    def page(self) -> str:
        return Path(self.seen[0].removeprefix("file://")).read_text(encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    folder = tmp_path / "node"
    node_settings.save(
        folder, role="workstation", port=18_999, hub_url=HUB, guard_dir=str(tmp_path / "guard")
    )
    return folder


def test_a_folder_that_is_no_node_is_told_as_a_page(tmp_path: Path) -> None:
    browser = Browser()
    assert opening.open_page(tmp_path, browser=browser) == 1
    assert "system.not_set_up" in browser.page


def test_a_node_that_does_not_start_says_its_own_reason(home: Path) -> None:
    browser = Browser()
    assert opening.open_page(home, browser=browser) == 1
    assert "system.not_set_up" in browser.page
    assert "Traceback" not in browser.page


def test_autostart_writes_unit_and_shortcut(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = home.parent
    monkeypatch.setenv("XDG_CONFIG_HOME", str(base / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(base / "data"))
    monkeypatch.setenv("XDG_DESKTOP_DIR", str(base / "desk top"))
    made = autostart.install(Settings.read(home))
    assert made == autostart.install(Settings.read(home))
    unit = next(path for path in made if path.suffix == ".service").read_text(encoding="utf-8")
    assert f"serve --home {home}" in unit
    shortcut = (base / "desk top" / "sharing-chain-18999.desktop").read_text(encoding="utf-8")
    assert f"open --home {home}" in shortcut

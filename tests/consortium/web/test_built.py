"""A program without the files of its build says so and does not start."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from consortium import main
from consortium.kernel.errors import Refusal
from consortium.settings import Settings
from consortium.web import icons


def test_without_what_the_build_makes_nothing_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(icons, "files", lambda _package: tmp_path)
    settings = cast("Settings", SimpleNamespace(home=tmp_path / "home"))
    with pytest.raises(Refusal, match=r"system\.not_built"):
        main.serve(settings)
    assert not (settings.home / "serving.lock").exists()
    for name in ("icons/check.svg", "static/vendor/htmx.min.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    icons.check_built()

"""The walls hold, and they would catch whoever walks through: one planted import for each."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.source import PACKAGES, ROOT

WALLS = {
    "packages": "chain and adapters know nobody here, and not each other",
    "floors": "a room uses the floors below it, never above, and no room of its own floor",
    "chain": "only the ledger room sees chain",
    "adapters": "only wiring sees adapters",
    "private": "tables and store are private to their room",
    "pure": "a model is pure: no framework, not even indirectly",
    "bare": "chain is the standard library and cryptography",
    "faces": "web frameworks live in faces and doors",
}
# wall, module that is planted, what it imports, how the complaint names it
PLANTS = [
    ("packages", "chain.plant_up", "consortium.kernel.ids", "chain.plant_up"),
    ("packages", "adapters.plant_side", "chain.merkle", "adapters.plant_side"),
    ("floors", "consortium.kernel.plant_up", "consortium.exchange.kinds", None),
    ("floors", "consortium.exchange.plant_up", "consortium.members.tables", None),
    ("floors", "consortium.desk.plant_side", "consortium.patients.service", None),
    ("floors", "consortium.scheduling.plant_side", "consortium.records.service", None),
    ("floors", "consortium.web.plant_side", "consortium.api", None),
    ("floors", "consortium.web.plant_up", "consortium.wiring", None),
    ("floors", "consortium.attic.plant", None, "consortium.attic"),
    ("chain", "consortium.exchange.plant_chain", "chain.merkle", None),
    ("adapters", "consortium.exchange.plant_adapter", "adapters.link", None),
    ("private", "consortium.referrals.plant_tables", "consortium.desk.tables", None),
    ("private", "consortium.web.plant_store", "consortium.records.store", None),
    ("pure", "consortium.plantroom.model", "sqlalchemy", None),
    ("pure", "consortium.plantfar.model", "consortium.kernel.database", None),
    ("bare", "chain.plant_bare", "sqlalchemy", None),
    ("faces", "consortium.desk.plant_face", "fastapi", None),
    ("faces", "consortium.jobs.plant_face", "jinja2", None),
]


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "400", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def _write(folder: Path, module: str, text: str) -> None:
    file = folder.joinpath(*module.split(".")).with_suffix(".py")
    for package in reversed(file.relative_to(folder).parents[:-1]):
        (folder / package).mkdir(exist_ok=True)
        (folder / package / "__init__.py").touch()
    if not file.with_suffix("").is_dir() and not file.exists():
        file.write_text(text)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walls")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package,
            folder / package,
            ignore=lambda _, names: {name for name in names if "." in name and name[-3:] != ".py"},
        )
    for name in ("pyproject.toml", "tests/architecture/walls.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def complaint(copy: Path) -> str:
    """What import-linter says with every plant in place."""
    for _, module, imported, _ in PLANTS:
        if imported and imported.split(".")[0] in PACKAGES:
            _write(copy, imported, "")
        _write(copy, module, f"import {imported}\n" if imported else "")
    linted = _lint(copy)
    assert linted.returncode == 1, linted.stdout + linted.stderr
    return linted.stdout


def test_the_walls_hold() -> None:
    linted = _lint(ROOT)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    for name in WALLS.values():
        assert f"{name} KEPT" in linted.stdout


@pytest.mark.parametrize(("wall", "module", "imported", "named"), PLANTS)
def test_a_planted_import_is_caught(
    complaint: str, wall: str, module: str, imported: str | None, named: str | None
) -> None:
    assert f"{WALLS[wall]} BROKEN" in complaint
    told = complaint.split("Broken contracts", 1)[1].split(f"\n{WALLS[wall]}\n", 1)[1]
    for other in WALLS.values():
        told = told.split(f"\n{other}\n", 1)[0]
    assert (named or module) in told


def test_each_wall_has_a_plant() -> None:
    assert {wall for wall, *_ in PLANTS} == set(WALLS)

"""What a start loads: nothing that costs seconds on a clinic's PC and may wait (DESIGN 4)."""

import subprocess
import sys
from pathlib import Path

LATE = {
    "alembic": "one revision number is compared instead",
    "fhir": "the FHIR models, when the first body is checked",
    "psycopg": "the driver of a database that is not used",
    "pytest": "tests",
    "tests": "tests",
}
BUILD = """
import sys
from pathlib import Path
import consortium.main
from consortium.settings import Settings
from consortium.wiring import build
home = Path(sys.argv[1])
node = build(Settings(home=home, role="workstation", hub_url="http://127.0.0.1:9", guard_dir=home))
print(*sorted({name.partition(".")[0] for name in sys.modules}))
node.database.close()
"""


def test_a_start_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    loaded = set(built.stdout.split())
    assert {"consortium", "fastapi", "sqlalchemy"} <= loaded
    assert {name: why for name, why in LATE.items() if name in loaded} == {}

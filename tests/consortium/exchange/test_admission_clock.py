"""No index without a right clock."""

from pathlib import Path

import pytest

from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from tests.consortium.exchange.pens import Hub


def test_no_index_without_a_right_clock(tmp_path: Path, sqlite: Database) -> None:
    hub = Hub(sqlite, tmp_path)
    raw = hub.pens["a"].open("c1")
    hub.clock.jump(hours=2)
    with pytest.raises(Refusal, match=r"ledger\.clock"):
        hub.admit(raw)
    assert hub.size() == 1
    hub.clock.jump(hours=-2)
    assert hub.verdicts(raw) == ["ok"]

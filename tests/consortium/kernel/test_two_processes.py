"""A command beside a running node: the file's own lock puts their writes one after the other."""

import threading
from pathlib import Path

from sqlalchemy import text

from consortium.kernel.database import Database

ROUNDS = 20


def test_two_programs_write_one_file_and_no_write_is_lost(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'node.db'}"
    programs = [Database(url), Database(url)]
    with programs[0].write() as session:
        session.execute(text("create table counted (n integer)"))
        session.execute(text("insert into counted values (0)"))
    failed: list[Exception] = []
    start = threading.Barrier(2)

    def count(program: Database) -> None:
        start.wait()
        try:
            for _ in range(ROUNDS):
                with program.write() as session:
                    n = session.execute(text("select n from counted")).scalar_one()
                    session.execute(text("update counted set n = :n"), {"n": n + 1})
        except Exception as fault:
            failed.append(fault)

    threads = [threading.Thread(target=count, args=(one,)) for one in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with programs[0].read() as session:
        assert session.execute(text("select n from counted")).scalar_one() == 2 * ROUNDS
    assert failed == []
    for one in programs:
        one.close()

"""A place where a process can be made to end."""

import subprocess
import sys

from consortium.kernel import crash

CODE = """
from consortium.kernel import crash
crash.arm("there")
crash.point("elsewhere")
print("passed", flush=True)
try:
    crash.point("there")
finally:
    print("cleaned up", flush=True)
"""


def test_a_process_ends_at_the_place_it_was_told_and_cleans_nothing_up() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (-crash.SIGNAL, "passed\n")


def test_nothing_is_armed_by_itself() -> None:
    crash.arm("")
    crash.point("")
    crash.point("inbox.apply:referral.accept/1")

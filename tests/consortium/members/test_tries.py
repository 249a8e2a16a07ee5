"""One address that guesses many names waits."""

from datetime import UTC, datetime, timedelta

import pytest

from consortium.kernel.errors import Refusal, RefusalKind
from consortium.members.tries import Tries

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


def test_one_address_guesses_thirty_times_whatever_the_name() -> None:
    tries, moment = Tries(), NOW
    for _ in range(30):
        tries.refuse_if_many("10.0.0.7", now=moment)
        tries.count("10.0.0.7", now=moment)
        moment += timedelta(seconds=20)
    with pytest.raises(Refusal, match=r"members\.throttled_here") as caught:
        tries.refuse_if_many("10.0.0.7", now=moment)
    assert caught.value.kind is RefusalKind.THROTTLED
    tries.refuse_if_many("10.0.0.8", now=moment)
    tries.refuse_if_many("10.0.0.7", now=NOW + timedelta(minutes=15))

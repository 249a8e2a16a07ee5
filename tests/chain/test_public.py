"""What chain offers to everyone: few names, each with its place in a specification."""

import re
from pathlib import Path

import chain

PLACE = re.compile(r'RFC \d{4}, \d(\.\d)*|C2SP [a-z-]+, "[A-Z]')
WITHOUT = {"ChainError"}


def test_few_names() -> None:
    assert len(chain.__all__) <= 30
    assert sorted(set(chain.__all__)) == chain.__all__
    assert all(hasattr(chain, name) for name in chain.__all__)


def test_each_name_says_where_it_is_specified() -> None:
    silent = {
        name for name in chain.__all__ if not PLACE.search(getattr(chain, name).__doc__ or "")
    }
    assert silent == WITHOUT


def test_each_module_says_what_it_is() -> None:
    for file in Path(chain.__file__ or "").parent.glob("*.py"):
        assert file.read_text("utf-8").startswith('"""'), file.name

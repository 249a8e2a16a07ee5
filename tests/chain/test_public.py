"""What chain offers to everyone: few names, each with its place in a specification."""

import re
from pathlib import Path

import pytest

import chain

ROOT = Path(__file__).parents[2]

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


def test_the_example_in_the_readme(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert example
    monkeypatch.chdir(ROOT)
    exec(compile(example[1], "README.md", "exec"), {})
    assert capsys.readouterr().out == "3 7 contract.uncovered 3.2 []\nproof.inclusion\n"


def test_the_policy_in_the_readme_is_one() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    lines = re.findall(r"^    ((?:log|witness|quorum) .*\n)", text, re.MULTILINE)
    assert chain.parse_policy("".join(lines).encode()).quorum == "clinic1"

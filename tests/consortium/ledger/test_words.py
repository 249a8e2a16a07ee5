"""Every reason that `chain` can give has words in both languages."""

import ast
import re
from pathlib import Path

import chain
from consortium import words

CODE = re.compile(r"(receipt|note|checkpoint|leaf|policy|key|log|quorum|proof|tile)\.[a-z]+")


def test_each_reason_has_words() -> None:
    assert chain.__file__
    codes = {
        node.value
        for file in Path(chain.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if CODE.fullmatch(node.value)
    }
    assert "proof.inclusion" in codes
    known = {key.removeprefix("ledger.reason.") for key in words.areas()["ledger"]}
    assert codes - known == set()
    assert {key for key in known if CODE.fullmatch(key)} - codes == set()

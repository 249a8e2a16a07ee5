"""Why evidence is refused.

    ChainError
    +- FormatError      bytes that are not of the form they claim
    +- KeyFormatError   a key that is malformed, weak, or does not fit its use
    +- SignatureError   a signature of a known key that does not verify
    +- ProofError       hashes that do not lead to the root
    +- PolicyError      sound bytes that this policy does not trust

Each carries a stable `code` (`place.word`) for programs and a sentence for people.
"""


class ChainError(ValueError):
    """Evidence that is refused. `code` is stable; the message is one English sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class FormatError(ChainError):
    """Bytes that are not of the form they claim."""


class KeyFormatError(ChainError):
    """A key that is malformed, weak, or does not fit its use."""


class SignatureError(ChainError):
    """A signature by a known key that does not verify."""


class ProofError(ChainError):
    """A proof whose hashes do not lead to the root."""


class PolicyError(ChainError):
    """Sound bytes that this policy does not trust."""

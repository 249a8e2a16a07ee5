"""What seals and persons sign about a contract: domain-tagged, one line a field.

The statement of a hold (suspend, resume, terminate) names its exchange, so that signatures once
given cannot be used for a second suspension.
"""

_SIGN_TAG = b"sharing-chain/contract.sign/1\0"
_HOLD_TAG = b"sharing-chain/contract.hold/1\0"


def signing(*, contract: str, version: int, digest: str) -> bytes:
    """What a party's seal signs: this version of this contract, by the hash of its document."""
    return _SIGN_TAG + "\n".join((contract, str(version), digest)).encode()


def holding(*, action: str, contract: str, version: int, reason: str, exchange: str) -> bytes:
    """What the seal and both persons sign to suspend, resume or terminate."""
    return _HOLD_TAG + "\n".join((action, contract, str(version), reason, exchange)).encode()

"""Trust policies (C2SP tlog-policy): which logs, which witnesses, how many of them.

A checkpoint is trusted when one of the logs has signed it under its own origin and the quorum of
witnesses has cosigned it. While a log changes its key, a policy names the old and the new one on
two `log` lines, and a checkpoint that either of them has signed is the log's.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from chain import checkpoint, note
from chain.errors import ChainError, FormatError, KeyFormatError, PolicyError
from chain.note import COSIGNER_KINDS, ED25519, MLDSA_COSIGNATURE, VerifierKey

POLICY_BYTES_MAX = 256 * 1024
NAMES_MAX = 1024
LOG_KINDS = (ED25519, MLDSA_COSIGNATURE)
"""Types that sign a log's own checkpoints (C2SP tlog-checkpoint, "Signatures")."""
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_THRESHOLD = re.compile(r"[1-9][0-9]{0,3}")
_NONE = "none"


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses when at least `least` of its members do."""

    least: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trusted:
    """A checkpoint that a log of the policy has signed (C2SP tlog-policy, "What is a 'policy'?").

    `log` is the first of the policy's keys on it, `cosigners` gives the time in seconds by the
    policy's name of a witness, `quorum` tells whether these are enough.
    """

    checkpoint: checkpoint.Checkpoint
    log: VerifierKey
    cosigners: Mapping[str, int]
    quorum: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy (C2SP tlog-policy, "Policy file syntax and structure").

    `groups` stand in the order in which they were defined.

    `log_urls` and `witness_urls` hold the addresses that the file gives, by log key and by the
    policy's name; what they mean is left to the application.
    """

    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, VerifierKey]
    groups: Mapping[str, Group]
    quorum: str
    log_urls: Mapping[VerifierKey, str] = field(default_factory=dict)
    witness_urls: Mapping[str, str] = field(default_factory=dict)

    def trust(self, data: bytes) -> Trusted:
        """Check a signed checkpoint against this policy.

        Raises:
            FormatError, SignatureError: as `note.verify` and `checkpoint.parse`.
            PolicyError: `log.unknown` when no log of the policy has signed it under its own
                origin, `quorum.missing` when too few witnesses have cosigned it.
        """
        found = self.examine(data)
        if not found.quorum:
            raise PolicyError("quorum.missing", "Too few witnesses have cosigned the checkpoint.")
        return found

    def examine(self, data: bytes) -> Trusted:
        """Check as `trust`, but only report whether the quorum is met.

        Raises:
            As `trust`, without `quorum.missing`.
        """
        by_name = {witness: name for name, witness in self.witnesses.items()}
        try:
            read, signed = note.verify(data, (*self.logs, *by_name))
        except ChainError as fault:
            if fault.code == "note.unknown":
                raise _unknown_log() from fault
            raise
        head = checkpoint.parse(read.text)
        mine = set(self.logs)
        logs = [one.key for one in signed if one.key in mine and one.key.name == head.origin]
        if not logs:
            raise _unknown_log()
        cosigners = {by_name[one.key]: one.time_s or 0 for one in signed if one.key in by_name}
        return Trusted(head, logs[0], cosigners, quorum=self._met(cosigners))

    def _met(self, cosigners: Mapping[str, int]) -> bool:
        if self.quorum == _NONE:
            return True
        done = set(cosigners)
        for name, group in self.groups.items():
            if sum(member in done for member in group.members) >= group.least:
                done.add(name)
        return self.quorum in done


def _unknown_log() -> PolicyError:
    return PolicyError("log.unknown", "No log that the policy names has signed the checkpoint.")


def parse(data: bytes) -> Policy:
    """Read a policy file (C2SP tlog-policy, "Policy file syntax and structure").

    Bytes above 0x7F are opaque, as the specification asks ("Character set").

    Raises:
        FormatError: `policy.format` with the number of the line.
        KeyFormatError: a key that is malformed, weak or of the wrong type.
    """
    if len(data) > POLICY_BYTES_MAX or _FORBIDDEN.search(data):
        raise FormatError("policy.format", "The policy is too long or holds control characters.")
    if not data.endswith(b"\n"):
        # a cut file could name a smaller group as its quorum
        raise FormatError("policy.format", "The last line of the policy does not end.")
    reader = _Reader()
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        words = [word for word in re.split(r"[ \t]+", line) if word]
        if words and not words[0].startswith("#"):
            reader.line(number, words)
    return reader.policy()


@dataclass(slots=True)
class _Reader:
    logs: list[VerifierKey] = field(default_factory=list)
    witnesses: dict[str, VerifierKey] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    log_urls: dict[VerifierKey, str] = field(default_factory=dict)
    witness_urls: dict[str, str] = field(default_factory=dict)
    quorum: str = ""
    number: int = 0

    def line(self, number: int, words: list[str]) -> None:
        self.number = number
        readers: dict[str, Callable[[list[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._quorum,
        }
        if words[0] not in readers:
            raise self._fault("does not begin with log, witness, group or quorum")
        readers[words[0]](words[1:])
        if len(self.logs) + len(self.witnesses) + len(self.groups) > NAMES_MAX:
            raise self._fault("is one too many")

    def policy(self) -> Policy:
        if not self.quorum:
            raise FormatError("policy.format", "The policy has no quorum line.")
        return Policy(
            logs=tuple(self.logs),
            witnesses=self.witnesses,
            groups=self.groups,
            quorum=self.quorum,
            log_urls=self.log_urls,
            witness_urls=self.witness_urls,
        )

    def _log(self, words: list[str]) -> None:
        if not 1 <= len(words) <= 2:
            raise self._fault("is not: log, key, and perhaps an address")
        key = self._key(words[0], LOG_KINDS, self.logs)
        self.logs.append(key)
        if len(words) == 2:
            self.log_urls[key] = words[1]

    def _witness(self, words: list[str]) -> None:
        if not 2 <= len(words) <= 3:
            raise self._fault("is not: witness, name, key, and perhaps an address")
        name = self._new(words[0])
        self.witnesses[name] = self._key(words[1], COSIGNER_KINDS, self.witnesses.values())
        if len(words) == 3:
            self.witness_urls[name] = words[2]

    def _group(self, words: list[str]) -> None:
        if len(words) < 3:
            raise self._fault("is not: group, name, threshold, members")
        name, members = self._new(words[0]), tuple(words[2:])
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise self._fault("names a member that no earlier line defines")
            if member in self.members:
                raise self._fault("names a member that is in a group already")
            self.members.add(member)
        self.groups[name] = Group(self._least(words[1], len(members)), members)

    def _quorum(self, words: list[str]) -> None:
        if self.quorum or len(words) != 1:
            raise self._fault("is a second quorum, or names more than one")
        if words[0] not in (_NONE, *self.witnesses, *self.groups):
            raise self._fault("names a quorum that no earlier line defines")
        self.quorum = words[0]

    def _least(self, word: str, count: int) -> int:
        if word in ("any", "all"):
            return 1 if word == "any" else count
        if not _THRESHOLD.fullmatch(word) or int(word) > count:
            raise self._fault("has a threshold that is not between 1 and its members")
        return int(word)

    def _new(self, name: str) -> str:
        if name == _NONE or name in self.witnesses or name in self.groups:
            raise self._fault("defines a name that is taken")
        return name

    def _key(
        self, text: str, kinds: Collection[int], taken: Collection[VerifierKey]
    ) -> VerifierKey:
        key = VerifierKey.parse(text)
        if key.kind not in kinds:
            raise KeyFormatError("key.kind", f"The key in line {self.number} has the wrong type.")
        # one key under two names would count twice
        if any(key.public == other.public for other in taken):
            raise self._fault("names a key that is there already")
        return key

    def _fault(self, what: str) -> FormatError:
        return FormatError("policy.format", f"Line {self.number} of the policy {what}.")

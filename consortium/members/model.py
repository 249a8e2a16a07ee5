"""Rules of charter, members and keys: pure over facts and shared state.

| member is  | charter.sign        | key.add (first) | key.add, key.revoke, directory |
| ---------- | ------------------- | --------------- | ------------------------------ |
| not known  | entry 0 only        | -> invited      | no                             |
| invited    | -> joined           | no              | keys yes, directory no         |
| joined     | no (signed already) | no              | yes                            |
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from consortium.exchange.facts import Facts, Value
from consortium.kernel.actor import Role
from consortium.kernel.errors import Refusal, conflict, forbidden, invalid
from consortium.members import statements
from consortium.members.statements import kid_of, listed, public_bytes, verifies

Get = Callable[[str], Value | None]
"""Reads a subject's value, None when it has none."""

ADD, REVOKE, SIGN, DIRECTORY = "key.add/1", "key.revoke/1", "charter.sign/1", "directory.publish/1"
CHARTER = "charter:"
CONSORTIUM = "consortium"
"""The member id of the consortium itself, whose unattended kinds the hub's node signs."""
KEYS_MAX = 32
REGULATOR = "regulator"
"""The kind of a member that keeps a mirror: it may have the whole ledger with all facts."""
MEMBER_KINDS = (CONSORTIUM, "lead", "clinic", REGULATOR)
WITNESSING = frozenset(MEMBER_KINDS) - {CONSORTIUM, "lead"}
"""Kinds of members whose nodes cosign the log: all that live outside of the hub's installation."""
INVITED_KINDS = ("clinic", REGULATOR)
"""What a consortium invites others as; the lead hospital and the consortium found it."""
INVITED, JOINED = "invited", "joined"

FIELDS = {
    "seal": "seal",
    "recovery_seal": "recovery_seal",
    "sealing": "sealing",
    "recovery_age": "recovery",
}
"""Uses of which a member has exactly one valid key, and the field of `member:` that shows it."""
USES = ("node", *FIELDS, "person", "witness")
_AGE_USES = frozenset({"sealing", "recovery_age"})
_AUTHORITY = ("seal", "recovery_seal")
_MEMBER_ID = re.compile(r"[a-z][a-z0-9-]{1,30}")
_HOLDER = re.compile(r"[A-Za-z0-9-]{8,40}")
_KID = re.compile(r"[0-9a-f]{32}")
_ROLES = frozenset(Role)
_GENESIS = ("origin", "zone", "keys", "details")
_FIRST_SET = sorted(("node", *FIELDS))


def kid(key: Mapping[str, Any]) -> str:
    """The id of a key as a list holds it; empty for one that is refused anyway."""
    use, public = key.get("use"), key.get("public")
    if not isinstance(use, str) or not isinstance(public, str):
        return ""
    raw = public_bytes(use, public)
    return kid_of(raw) if raw is not None else ""


def keys_of(facts: Facts) -> list[Mapping[str, Any]]:
    """The keys that a list adds, as far as they have the form of one."""
    keys = facts.get("keys", [])
    return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []


def ends_of(facts: Facts) -> list[str]:
    """Ids of the keys that a list ends."""
    return [str(one) for one in facts.get("ends", [])]


def good_member_id(member: str) -> bool:
    """Whether a new member may have this id."""
    return _MEMBER_ID.fullmatch(member) is not None and member not in ("all", CONSORTIUM)


def subjects(sender: str, facts: Facts) -> list[str]:
    """Every subject that a list, or a signature of the charter, reads or moves."""
    keys = keys_of(facts)
    nodes = [key["node"] for key in keys if isinstance(key.get("node"), str)]
    kids = [*map(kid, keys), *nodes, *ends_of(facts), str(facts.get("by", ""))]
    names = [
        CHARTER,
        f"member:{facts.get('member', sender)}",
        *(f"key:{one}" for one in kids if one),
    ]
    return list(dict.fromkeys(names))


# ---------------------------------------------------------------- judging


def judge_genesis(get: Get, *, sender: str, facts: Facts) -> Refusal | None:
    """Entry 0: the consortium signs its charter and brings its first keys."""
    if get(CHARTER) is not None:
        return conflict("members.charter_known")
    if not facts["member"] == sender == CONSORTIUM or facts.get("kind") != CONSORTIUM:
        return invalid("members.key_list", field="member")
    if any(name not in facts for name in _GENESIS):
        return invalid("members.key_list", field="charter")
    return _first_keys(get, kind=SIGN, charter=facts["charter"], facts=facts)


def is_genesis(facts: Facts) -> bool:
    """Whether a signature of the charter is the one that brings it."""
    return "kind" in facts


def judge_sign(get: Get, *, sender: str, facts: Facts) -> Refusal | None:
    """A member signs the charter under its seal: the answer to its invitation."""
    charter = get(CHARTER)
    if charter is None:
        return conflict("members.charter_unknown")
    if facts["charter"] != charter["hash"]:
        return conflict("members.charter_other")
    if any(name in facts for name in _GENESIS):
        return invalid("members.key_list", field="charter")
    member = get(f"member:{sender}")
    if member is None or facts["member"] != sender:
        return forbidden("members.member_unknown")
    if member["state"] != INVITED:
        return conflict("members.charter_signed")
    key = get(f"key:{facts['by']}")
    if key is None or not _valid(key, member=sender) or key["use"] != "seal":
        return forbidden("members.signer")
    message = statements.charter(
        charter_hash=charter["hash"], origin=charter["origin"], member=sender
    )
    if not verifies(key["public"], message, facts["signature"]):
        return forbidden("members.signature")
    return None


def judge_add(get: Get, *, sender: str, facts: Facts) -> Refusal | None:
    """A list of new keys: the first of a member, or one that its seal or recovery key signed."""
    charter = get(CHARTER)
    if charter is None:
        return conflict("members.charter_unknown")
    if sender != charter["consortium"]:
        return forbidden("members.not_consortium")
    if "kind" in facts:
        if get(f"member:{facts['member']}") is not None:
            return conflict("members.member_known")
        if not good_member_id(facts["member"]):
            return invalid("members.key_list", field="member")
        if facts["kind"] == CONSORTIUM or facts.get("ends") or "details" not in facts:
            return invalid("members.key_list", field="kind")
        return _first_keys(get, kind=ADD, charter=charter["hash"], facts=facts)
    if not keys_of(facts) or "details" in facts:
        return invalid("members.key_list", field="keys")
    return (
        _new_keys(get, charter=charter["hash"], facts=facts)
        or _ended(get, facts)
        or _singles(get, facts)
        or _witnesses(get, facts)
        or _authorised(get, kind=ADD, charter=charter["hash"], facts=facts)
    )


def judge_revoke(get: Get, *, sender: str, facts: Facts) -> Refusal | None:
    """Keys end: sent by the member itself, or by the hub's node for one that has no node left."""
    charter = get(CHARTER)
    if charter is None:
        return conflict("members.charter_unknown")
    if sender not in (charter["consortium"], facts["member"]):
        return forbidden("members.not_consortium")
    if not ends_of(facts):
        return invalid("members.key_list", field="ends")
    return (
        _ended(get, facts)
        or _singles(get, facts)
        or _authorised(get, kind=REVOKE, charter=charter["hash"], facts=facts)
    )


def judge_directory(get: Get, *, sender: str) -> Refusal | None:
    """A member that has joined tells its entry in the directory anew."""
    member = get(f"member:{sender}")
    if member is None or member["state"] != JOINED:
        return forbidden("members.not_joined")
    return None


def _first_keys(get: Get, *, kind: str, charter: str, facts: Facts) -> Refusal | None:
    if refusal := _new_keys(get, charter=charter, facts=facts):
        return refusal
    keys = keys_of(facts)
    more = ["witness"] if facts["kind"] in WITNESSING else []
    if sorted(key["use"] for key in keys) != sorted([*_FIRST_SET, *more]):
        return invalid("members.key_list", field="keys")
    if refusal := _witnesses(get, facts):
        return refusal
    seal = next(key for key in keys if key["use"] == "seal")
    if facts["by"] != kid(seal):
        return forbidden("members.signer")
    if not verifies(seal["public"], listed(kind, charter, facts), facts["signature"]):
        return forbidden("members.signature")
    return None


def _new_keys(get: Get, *, charter: str, facts: Facts) -> Refusal | None:
    listed_keys, keys = facts["keys"], keys_of(facts)
    if not isinstance(listed_keys, list) or len(keys) != len(listed_keys) or len(keys) > KEYS_MAX:
        return invalid("members.key_list", field="keys")
    for key in keys:
        if field := _malformed(key):
            return invalid("members.key_list", field=field)
    kids = [kid(key) for key in keys]
    if not all(kids):
        return invalid("members.key_bad")
    if len(set(kids)) != len(kids):
        return invalid("members.key_twice")
    if any(get(f"key:{one}") is not None for one in kids):
        return conflict("members.key_known")
    if not all(_proven(key, charter=charter, member=facts["member"]) for key in keys):
        return forbidden("members.key_proof")
    return None


def _malformed(key: Mapping[str, Any]) -> str:
    use = key.get("use")
    if use not in USES or not isinstance(key.get("public"), str):
        return "use"
    wanted = {"use", "public"} | (set() if use in _AGE_USES else {"proof"})
    if use == "person":
        wanted |= {"holder", "roles"}
        if not isinstance(key.get("holder"), str) or _HOLDER.fullmatch(key["holder"]) is None:
            return "holder"
        if not _good_roles(key.get("roles")):
            return "roles"
    if use == "witness":
        wanted |= {"node"}
        if not isinstance(key.get("node"), str) or _KID.fullmatch(key["node"]) is None:
            return "node"
    if key.keys() != wanted or not isinstance(key.get("proof", ""), str):
        return "fields"
    return ""


def _good_roles(roles: object) -> bool:
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        return False
    return bool(roles) and roles == sorted(set(roles)) and _ROLES.issuperset(roles)


def _proven(key: Mapping[str, Any], *, charter: str, member: str) -> bool:
    if key["use"] in _AGE_USES:
        # an age key signs nothing: the seal's signature over the list binds it
        return True
    message = statements.proof(
        charter=charter,
        member=member,
        use=key["use"],
        public=key["public"],
        holder=key.get("holder", key.get("node", "")),
    )
    return verifies(key["public"], message, key["proof"])


def _ended(get: Get, facts: Facts) -> Refusal | None:
    ends = ends_of(facts)
    if len(set(ends)) != len(ends) or len(ends) > KEYS_MAX:
        return invalid("members.key_twice")
    for one in ends:
        key = get(f"key:{one}")
        if key is None or not _valid(key, member=facts["member"]):
            return conflict("members.key_gone")
    return None


def _singles(get: Get, facts: Facts) -> Refusal | None:
    """Of some uses a member has exactly one key: a new one ends the old one, in one entry."""
    ended = [key["use"] for one in ends_of(facts) if (key := get(f"key:{one}"))]
    added = [key["use"] for key in keys_of(facts)]
    for use in FIELDS:
        if ended.count(use) != added.count(use) or added.count(use) > 1:
            return conflict("members.key_single", use=use)
    return None


def _witnesses(get: Get, facts: Facts) -> Refusal | None:
    """A witness key belongs to one node that the member has, which has no other one then."""
    keys, ends = keys_of(facts), set(ends_of(facts))
    fresh = {kid(key) for key in keys if key["use"] == "node"}
    member = get(f"member:{facts['member']}") or {}
    nodes = (fresh | set(member.get("nodes", ()))) - ends
    served = {node for node, one in member.get("witnesses", {}).items() if one not in ends}
    for key in keys:
        if key["use"] == "witness":
            if key["node"] not in nodes or key["node"] in served:
                return conflict("members.key_witness")
            served.add(key["node"])
    return None


def _authorised(get: Get, *, kind: str, charter: str, facts: Facts) -> Refusal | None:
    key = get(f"key:{facts['by']}")
    if key is None or not _valid(key, member=facts["member"]) or key["use"] not in _AUTHORITY:
        return forbidden("members.signer")
    if not verifies(key["public"], listed(kind, charter, facts), facts["signature"]):
        return forbidden("members.signature")
    return None


def _valid(key: Value, *, member: str) -> bool:
    return key["member"] == member and key["until"] is None


# ---------------------------------------------------------------- folding


def key_value(name: str, old: Value | None, facts: Facts, *, here: int) -> Value | None:
    """The new value of a `key:` subject; `here` stands for the index of the entry."""
    for key in keys_of(facts):
        if name == f"key:{kid(key)}":
            return _record(key, member=facts["member"], here=here)
    if old is not None and name.removeprefix("key:") in ends_of(facts):
        return {**old, "until": here}
    return old


def _record(key: Mapping[str, Any], *, member: str, here: int) -> Value:
    record: dict[str, Any] = {
        "member": member,
        "use": key["use"],
        "alg": "X25519" if key["use"] in _AGE_USES else "Ed25519",
        "public": key["public"],
        "from": here,
        "until": None,
    }
    if key["use"] == "person":
        record |= {"holder": key["holder"], "roles": key["roles"]}
    if key["use"] == "witness":
        record["node"] = key["node"]
    return record


def introduced(node: str, facts: Facts) -> Value | None:
    """The record of the node key that entry 0 brings, as it is valid from index 0."""
    for key in keys_of(facts):
        if key.get("use") == "node" and kid(key) == node:
            return _record(key, member=str(facts.get("member", "")), here=0)
    return None


def member_value(old: Value | None, facts: Facts) -> Value | None:
    """The new value of a `member:` subject after a list of keys."""
    if old is None:
        state = JOINED if facts["kind"] == CONSORTIUM else INVITED
        old = {"state": state, "kind": facts["kind"], "nodes": [], "details": facts["details"]}
    ends = set(ends_of(facts))
    new = {**old, "nodes": [node for node in old["nodes"] if node not in ends]}
    witnesses = {at: one for at, one in old.get("witnesses", {}).items() if one not in ends}
    for key in keys_of(facts):
        if key["use"] == "node":
            new["nodes"] = [*new["nodes"], kid(key)]
        elif key["use"] == "witness":
            witnesses[key["node"]] = kid(key)
        elif field := FIELDS.get(key["use"]):
            new[field] = key["public"] if key["use"] in _AGE_USES else kid(key)
    return {**new, "witnesses": witnesses} if witnesses or "witnesses" in old else new


def charter_value(facts: Facts) -> Value:
    """The value of `charter:` after entry 0."""
    return {
        "hash": facts["charter"],
        "origin": facts["origin"],
        "zone": facts["zone"],
        "consortium": facts["member"],
    }


def uses_of(keys: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Key ids by use, for lists that hold one of each."""
    return {key["use"]: kid(key) for key in keys}


def roles_of(kind: str) -> frozenset[Role]:
    """The roles that people of a member may have; an unknown kind has the hospitals'."""
    if kind == CONSORTIUM:
        return frozenset({Role.CONSORTIUM_ADMIN, Role.HEAD, Role.MEMBER_ADMIN})
    if kind == REGULATOR:
        return frozenset({Role.REGULATOR, Role.HEAD, Role.MEMBER_ADMIN})
    return frozenset(Role) - {Role.CONSORTIUM_ADMIN, Role.REGULATOR}


FIRST_ROLES = {
    CONSORTIUM: frozenset({Role.CONSORTIUM_ADMIN, Role.HEAD, Role.MEMBER_ADMIN}),
    "lead": frozenset({Role.HEAD, Role.MEMBER_ADMIN}),
    "clinic": frozenset({Role.HEAD, Role.MEMBER_ADMIN}),
    REGULATOR: frozenset({Role.REGULATOR, Role.HEAD, Role.MEMBER_ADMIN}),
}
"""Roles of the first account of a new member."""

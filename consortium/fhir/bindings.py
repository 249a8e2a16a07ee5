"""Whether a resource is FHIR R4: the models of fhir.resources and what they let through.

One walk over the JSON by the models' own shapes: unknown elements, JSON types, cardinality, empty
elements, ids, dates, references, narratives, required bindings, rules between elements. Then the
models themselves. A refusal names the path, never the value.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consortium.fhir.codes import CODES, CONCEPTS, TYPES
from consortium.fhir.primitives import primitive_fault, reference_fault
from consortium.fhir.rules import rule_fault
from consortium.fhir.shape import Element, Shape, model_of, shape_of
from consortium.kernel.errors import Refusal, RefusalKind, invalid

LIST_MAX = 1_000
DEPTH_MAX = 50

_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9_]{0,39}")
# names of our own columns: whoever sends them hopes that we copy what we are given
_OUR_NAMES = """\
actor admitted index ledger_index ledgerIndex member node outcome owner receipt role sealed seq
signed trusted verdict verified version
"""
_OURS = frozenset(_OUR_NAMES.split())


@dataclass(frozen=True, slots=True)
class _Walk:
    now: datetime

    def resource(self, value: object, path: str, *, depth: int, contained: bool = False) -> None:
        if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
            raise invalid("fhir.type", path=path or "resourceType")
        kind = value["resourceType"]
        if kind not in TYPES:
            raise Refusal(
                RefusalKind.UNSUPPORTED, "fhir.resource_type", path=path or "resourceType"
            )
        path = path or kind
        if contained and ("contained" in value or "id" not in value):
            raise invalid("fhir.rule", path=path, rule="dom-2")
        for name in ("implicitRules", "modifierExtension"):
            if name in value:
                raise Refusal(RefusalKind.UNSUPPORTED, "fhir.modifier", path=f"{path}.{name}")
        self.element(kind, value, path, depth=depth)

    def element(self, kind: str, value: object, path: str, *, depth: int) -> None:
        if not isinstance(value, dict):
            raise invalid("fhir.type", path=path)
        if not value:
            raise invalid("fhir.empty", path=path)
        if depth > DEPTH_MAX:
            raise invalid("fhir.nesting", path=path)
        shape = shape_of(kind)
        for name, inner in value.items():
            if name == "resourceType" and "id" in shape.elements:
                continue
            self.member(shape, name, inner, path, depth=depth)
        _complete(shape, value, path)
        if kind == "Reference" and "reference" not in value and "display" not in value:
            self.some(value, ("identifier", "extension"), path)
        if broken := rule_fault(kind, value, now=self.now):
            raise _at(broken, path)

    def member(self, shape: Shape, name: str, value: object, path: str, *, depth: int) -> None:
        element = shape.elements.get(name.removeprefix("_"))
        if element is None or (name.startswith("_") and not element.primitive):
            shown = name if _NAME.fullmatch(name) else "?"
            if name in _OURS:
                raise invalid("fhir.assignment", path=f"{path}.{shown}")
            raise invalid("fhir.unknown_field", path=f"{path}.{shown}")
        path = f"{path}.{name}"
        where = f"{shape.name}.{element.name}"
        if not element.many:
            self.one(element, name, value, path, where=where, depth=depth)
            return
        if not isinstance(value, list):
            raise invalid("fhir.type", path=path)
        if not value or all(item is None for item in value):
            raise invalid("fhir.empty", path=path)
        if len(value) > LIST_MAX:
            raise Refusal(RefusalKind.TOO_LARGE, "fhir.too_many", path=path, limit=LIST_MAX)
        for number, item in enumerate(value):
            if item is None and element.primitive:
                continue
            self.one(element, name, item, f"{path}[{number}]", where=where, depth=depth)

    def one(
        self, element: Element, name: str, value: object, path: str, *, where: str, depth: int
    ) -> None:
        if value is None:
            raise invalid("fhir.empty", path=path)
        if name.startswith("_"):
            self.element("Element", value, path, depth=depth + 1)
        elif element.primitive:
            if fault := primitive_fault(element.kind, value, where=where):
                raise _at(fault, path)
            if where in CODES and value not in CODES[where]:
                raise invalid("fhir.code", path=path)
        elif element.kind == "Resource":
            self.resource(value, path, depth=depth + 1, contained=name == "contained")
        else:
            self.element(element.kind, value, path, depth=depth + 1)
            self.bound(element, value, path, where=where)

    def bound(self, element: Element, value: Any, path: str, *, where: str) -> None:
        """Reference targets and bindings that hang on where an element stands."""
        literal = value.get("reference") if element.kind == "Reference" else None
        if literal and (fault := reference_fault(literal, element.targets)):
            raise _at(fault, f"{path}.reference")
        if where in CONCEPTS:
            system, codes = CONCEPTS[where]
            pairs = [(one.get("system"), one.get("code")) for one in value.get("coding", ())]
            if not any(pair[0] == system and pair[1] in codes for pair in pairs):
                raise invalid("fhir.code", path=path)

    @staticmethod
    def some(value: Mapping[str, Any], names: tuple[str, ...], path: str) -> None:
        if not any(name in value for name in names):
            raise invalid("fhir.empty", path=path)


def check(resource: object, *, now: datetime) -> None:
    """Whether one resource is valid FHIR R4, of a type in use, with nothing that could act.

    `now` bounds birth dates. Decimals are int or Decimal, as `gate.parse` gives them.

    Raises:
        Refusal: `fhir.*` or `identity.number` with `path` (`Patient.name[0].family`) and, for rules
            between elements, `rule`; the value is never told.
    """
    _Walk(now).resource(resource, "", depth=1)
    _check_model(resource)


def _complete(shape: Shape, value: Mapping[str, Any], path: str) -> None:
    """Elements that must be there, and choices made once."""
    for name in shape.required:
        if name not in value and f"_{name}" not in value:
            raise invalid("fhir.required", path=f"{path}.{name}")
    for choice, (needed, names) in shape.choices.items():
        made = [name for name in names if name in value or f"_{name}" in value]
        if len(made) > 1:
            raise invalid("fhir.rule", path=f"{path}.{choice}[x]", rule="choice")
        if needed and not made:
            raise invalid("fhir.required", path=f"{path}.{choice}[x]")


def _at(refusal: Refusal, path: str) -> Refusal:
    refusal.facts["path"] = path
    return refusal


def _check_model(resource: Any) -> None:
    """The models of fhir.resources as a second opinion, with every decimal as it was sent."""
    from pydantic import ValidationError

    try:
        model_of(resource["resourceType"]).model_validate(resource)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"] if _NAME.fullmatch(str(part)))
        path = f"{resource['resourceType']}.{place}"
        raise invalid("fhir.structure", path=path) from None

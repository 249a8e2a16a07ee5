"""Shapes: what elements each FHIR type has, read once from the models of fhir.resources.

Read for the checks that the models do not make themselves; the models stay the source of names,
types, cardinality and reference targets.
"""

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from consortium.fhir.codes import R4_TARGETS, R4B_ONLY

_SCALARS = {bool: "boolean"}
_RESOURCE = "Resource"


@dataclass(frozen=True, slots=True)
class Element:
    """One element: `kind` is a primitive's FHIR name (`dateTime`) or a model class (`Period`)."""

    name: str
    kind: str
    primitive: bool
    many: bool
    targets: frozenset[str]


@dataclass(frozen=True, slots=True)
class Shape:
    """A model class: its elements, those that must be there, and its choices (`value[x]`)."""

    name: str
    elements: Mapping[str, Element]
    required: frozenset[str]
    choices: Mapping[str, tuple[bool, frozenset[str]]]


def model_of(name: str) -> Any:
    """The pydantic model of a type. Raises ValueError for a name that is none."""
    from fhir.resources.R4B import get_fhir_model_class

    return get_fhir_model_class(name)


@cache
def shape_of(name: str) -> Shape:
    """The shape of a type or of a part of one (`PatientContact`)."""
    elements: dict[str, Element] = {}
    required: set[str] = set()
    choices: dict[str, tuple[bool, set[str]]] = {}
    for field_name, field in model_of(name).model_fields.items():
        alias = field.alias or field_name
        extra = field.json_schema_extra or {}
        if field_name.endswith("__ext") or alias == "fhir_comments" or alias in R4B_ONLY:
            continue
        elements[alias] = _element(name, alias, field.annotation, extra)
        if field.is_required() or extra.get("element_required"):
            required.add(alias)
        if choice := extra.get("one_of_many"):
            needed, names = choices.setdefault(choice, (False, set()))
            names.add(alias)
            choices[choice] = (needed or bool(extra.get("one_of_many_required")), names)
    frozen = {choice: (needed, frozenset(names)) for choice, (needed, names) in choices.items()}
    return Shape(name, elements, frozenset(required), frozen)


def _element(owner: str, alias: str, annotation: Any, extra: Mapping[str, Any]) -> Element:
    inner, many = _unwrap(annotation)
    if typing.get_origin(inner) is typing.Annotated:
        # the FHIR type is the last marker: base64Binary carries pydantic's decoder before it
        # and a UUID has pydantic's own
        kind, primitive = getattr(typing.get_args(inner)[-1], "__visit_name__", "uuid"), True
    elif inner in _SCALARS:
        kind, primitive = _SCALARS[inner], True
    elif hasattr(inner, "get_model_klass"):
        kind, primitive = inner.get_model_klass().__name__, False
    else:
        raise TypeError(f"{owner}.{alias} has a type that is not known here")
    targets = R4_TARGETS.get(f"{owner}.{alias}", frozenset(extra.get("enum_reference_types", ())))
    return Element(alias, kind, primitive, many, targets - {_RESOURCE})


def _unwrap(annotation: Any) -> tuple[Any, bool]:
    """Strip None and list from an annotation; tell whether there was a list."""
    many = False
    while True:
        origin = typing.get_origin(annotation)
        if origin is list:
            many, annotation = True, typing.get_args(annotation)[0]
        elif origin is not None and origin is not typing.Annotated:
            annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
        else:
            return annotation, many

"""Checking FHIR: what comes in is read strictly, bound, and held against the models."""

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime

from consortium.fhir import message
from tests.bench.measure import Measure, rate
from tests.consortium.fhir import samples

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
GOAL = 0.2
"""The byte gate, bindings, references and byte spans are pure Python beside compiled models."""


def run() -> Iterator[Measure]:
    """Resources a second in whole message Bundles, beside the models of fhir.resources alone."""
    made = [one for one in samples.all_kinds(NOW) if "id" in one]
    # a message names each of its resources once
    resources = list({(one["resourceType"], one["id"]): one for one in made}.values())
    raw = message.build(
        "bench",
        source="clinic-1",
        destinations=("lead",),
        resources=resources,
        exchange_id="0198f000-0000-7000-8000-00000000be0c",
        now=NOW,
    )
    parsed = message.read(raw, now=NOW).resources
    models = [
        getattr(importlib.import_module(f"fhir.resources.R4B.{name.lower()}"), name)
        for name in (one["resourceType"] for one in parsed)
    ]

    def checked() -> int:
        return len(message.read(raw, now=NOW).resources)

    def modelled() -> int:
        for model, one in zip(models, parsed, strict=True):
            model.model_validate(one)
        return len(parsed)

    alone = rate(modelled)
    yield Measure("fhir.validate", rate(checked), "1/s", "models alone", alone, GOAL)

"""Walls that import-linter has no contract for, or only one that fails before both sides exist."""

from collections.abc import Iterable
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


def _inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _links(graph: ImportGraph, private: str, allowed: Iterable[str]) -> list[tuple[str, str]]:
    if private not in graph.modules:
        return []
    whole = {private}
    if not graph.is_module_squashed(private):
        whole |= graph.find_descendants(private)
    return [
        (importer, imported)
        for imported in sorted(whole)
        for importer in sorted(graph.find_modules_that_directly_import(imported))
        if not any(_inside(importer, package) for package in allowed)
    ]


class _Wall(Contract):
    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each import that crosses the wall."""
        for importer, imported in check.metadata["links"]:
            output.print_error(f"{importer} is not allowed to import {imported}", bold=False)


class OnlyContract(_Wall):
    """Only the named packages, and itself, import a module. Absent names are passed over.

    Configuration options:
        modules: what is protected, ours or a library.
        importers: the packages that may import it directly.
    """

    type_name = "only"

    modules = fields.ListField(subfield=fields.StringField())
    importers = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every importer of every protected module."""
        modules: Any = self.modules
        importers: Any = self.importers
        links = [link for name in modules for link in _links(graph, name, [name, *importers])]
        return ContractCheck(kept=not links, metadata={"links": links})


class OwnRoomContract(_Wall):
    """Modules of these names may be imported by their own room only.

    Configuration options:
        container: the package whose children are the rooms.
        private_modules: names of modules directly in a room.
    """

    type_name = "own_room"

    container = fields.StringField()
    private_modules = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every importer of every private module."""
        container: Any = self.container
        names: Any = self.private_modules
        links = [
            link
            for room in sorted(graph.find_children(container))
            for name in names
            for link in _links(graph, f"{room}.{name}", [room])
        ]
        return ContractCheck(kept=not links, metadata={"links": links})

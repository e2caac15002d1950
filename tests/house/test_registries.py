"""A view is a module and a name in PROJECTIONS: none is written and forgotten."""

import importlib
import pkgutil

import pytest

import projections
from projections.registry import BY_NAME, PROJECTIONS
from projections.view import View
from schemas.registry import BY_TYPE


def _views_written() -> list[tuple[str, View]]:
    """(module, view) of every view that a module of projections/ states."""
    modules = [
        importlib.import_module(info.name)
        for info in pkgutil.iter_modules(projections.__path__, "projections.")
    ]
    return [
        (module.__name__, value)
        for module in modules
        for value in vars(module).values()
        if isinstance(value, View)
    ]


def test_every_view_that_is_written_is_registered() -> None:
    forgotten = [name for name, view in _views_written() if view not in PROJECTIONS]
    assert not forgotten, f"{forgotten}: add the view to PROJECTIONS in projections/registry.py"


def test_every_view_has_a_module_of_its_own_name() -> None:
    for view in PROJECTIONS:
        module = importlib.import_module(f"projections.{view.name}")
        assert view in vars(module).values()


def test_no_name_of_a_view_is_used_twice() -> None:
    assert len(BY_NAME) == len(PROJECTIONS)


@pytest.mark.parametrize("view", PROJECTIONS, ids=lambda view: view.name)
def test_a_view_reads_fields_that_the_catalogue_has(view: View) -> None:
    for type_name, names in view.reads.items():
        assert set(names) <= BY_TYPE[type_name].__dataclass_fields__.keys(), type_name

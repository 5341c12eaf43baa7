"""Packages import a module when one of its names is used."""

import ast
from importlib import import_module
from types import ModuleType

import pytest

from swerve.scenes.lazy_package import LazyPackage
from tests.support.rooms import modules

LAZY = [name for name, path in modules().items() if path.stem == "__init__" and "make_lazy(" in path.read_text()]


@pytest.mark.parametrize("name", LAZY)
def test_names_for_type_checkers_are_the_exported_ones(name):
    tree = ast.parse(modules()[name].read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = [one.asname or one.name for node in block.body for one in node.names]
    package = import_module(name)
    assert isinstance(package, LazyPackage)
    assert sorted(imported) == sorted(package.__all__)
    assert set(imported) <= set(dir(package))


def test_an_exported_name_is_not_hidden_by_a_submodule_of_the_same_name():
    package = import_module("swerve.scenes.primitives")
    module = import_module("swerve.scenes.primitives.cuboids")
    package.cuboids = module  # as the import system does after importing a submodule
    assert not isinstance(package.cuboids, ModuleType)
    assert package.cuboids is module.cuboids


def test_submodules_and_unknown_names():
    package = import_module("swerve.scenes")
    assert import_module("swerve.scenes.camera") is package.camera
    with pytest.raises(AttributeError, match=r"module 'swerve\.scenes' has no attribute 'nothing'"):
        _ = package.nothing
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec("from swerve.scenes import nothing")

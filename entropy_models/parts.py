"""Networks as values: every part is a small frozen configuration that builds its module.

A configuration is an immutable msgspec struct whose tag and fields are what a model file stores:

    class Channel(ContextConfig, msgspec.Struct, frozen=True, tag="channel"):
        width: int = 128
        def build(self, place): return ChannelContext(self, place)

A family of parts (contexts, heads, hyperpriors, transforms) is a base class that inherits from `Part`. Its members are
found by their tag: in the modules of the family's own package, then among the entry points of other packages. So a new
member is one new file, or a package of its own.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, ClassVar, TypeVar

import msgspec

from ..errors import ModelError

Config = TypeVar("Config", bound=msgspec.Struct)


class Part:
    """The root of all families; a family says where its members are.

    Attributes:
        package: the package whose modules hold the members that belong to bitfloor.
        entry_points: the group of entry points under which other packages offer theirs, by tag.
    """

    package: ClassVar[str]
    entry_points: ClassVar[str]


def to_json(config: msgspec.Struct) -> str:
    """The canonical text of a configuration: all fields, sorted by name."""
    return msgspec.json.encode(config, order="sorted").decode()


def from_json(text: str | bytes, kind: type[Config]) -> Config:
    """The configuration in a text.

    Raises:
        ModelError: in one line, for a text that is no configuration of this kind.
    """
    try:
        return msgspec.json.decode(text, type=kind, dec_hook=_decode_part)
    except (msgspec.DecodeError, TypeError, ValueError) as error:  # ValidationError is a DecodeError
        raise ModelError(f"the network's configuration is wrong: {str(error).splitlines()[0]}") from error


def tag_of(part: object) -> str:
    """The tag of a part's configuration."""
    if not isinstance(part, msgspec.Struct):
        raise TypeError(f"{type(part).__name__} is no configuration")
    return str(part.__struct_config__.tag)


def find(family: type[Part], tag: str) -> type[msgspec.Struct]:
    """The configuration class of `family` that has this tag.

    Raises:
        ValueError: where there is none, with those that there are.
    """
    _import_own(family.package)
    if tag not in _members(family):
        for point in entry_points(group=family.entry_points, name=tag):
            point.load()
    members = _members(family)
    if tag not in members:
        known = ", ".join(sorted(members))
        raise ValueError(f"no {family.entry_points.partition('.')[2]} part {tag!r} is here: there is {known}")
    return members[tag]


@cache
def _import_own(package: str) -> None:
    for module in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
        import_module(module.name)


def _members(family: type[Part]) -> dict[str, type[msgspec.Struct]]:
    """The members that have been imported, by tag."""
    structs = [cls for cls in _subclasses(family) if issubclass(cls, msgspec.Struct)]
    return {str(cls.__struct_config__.tag): cls for cls in structs}


def _subclasses(family: type) -> list[type]:
    direct: list[type] = family.__subclasses__()
    return [*direct, *(deeper for cls in direct for deeper in _subclasses(cls))]


def _decode_part(family: type, value: Any) -> Any:
    """msgspec's hook: a field whose type is a family takes any of its members."""
    if not (isinstance(family, type) and issubclass(family, Part)):
        raise TypeError(f"{family} cannot be read from a configuration")
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise ValueError(f"a part of a network is an object with its tag as 'type', not {value!r:.40}")
    return msgspec.convert(value, find(family, value["type"]), dec_hook=_decode_part)

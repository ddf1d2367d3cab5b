"""Frozen values to JSON text and back, by their own type hints.

A dataclass becomes an object with its class name under `$type`, which also tells the members of a union apart;
an unknown field, a wrong type or an unknown class is an error, a missing field takes the dataclass's default. A
mapping becomes a list of pairs, a frozen set a sorted list, bytes base64. Integers keep every digit and floats
their exact value.
"""

from __future__ import annotations

import base64
import json
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
_TAG = "$type"
_Decoder = Callable[[Any], Any]


class Undecodable(ValueError):
    """The text does not hold a value of the expected type."""


def encode(value: object) -> str:
    """Return the value's JSON text: equal values give equal text.

    Raises:
        TypeError: the value holds something that has no form here.
        ValueError: it holds a float that is not finite.
    """
    return _dumps(_plain(value))


def decode(kind: type[T], text: str) -> T:
    """Return the value that `encode` wrote.

    Raises:
        Undecodable: the text holds anything else.
    """
    try:
        return _decoder(kind)(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise Undecodable(f"not a {getattr(kind, '__name__', kind)}: {error}") from error


def _dumps(plain: object) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _plain(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case tuple() | frozenset() | Mapping():
            return _plain_list(value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            members = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
            return {_TAG: type(value).__name__, **members}
        case _:
            raise TypeError(f"{type(value).__name__} has no stored form")


def _plain_list(value: tuple[object, ...] | frozenset[object] | Mapping[object, object]) -> list[object]:
    items: list[object] = [_plain(item) for item in (value.items() if isinstance(value, Mapping) else value)]
    return items if isinstance(value, tuple) else sorted(items, key=_dumps)


@cache
def _decoder(hint: Any) -> _Decoder:
    container = _CONTAINERS.get(get_origin(hint))
    if container is not None:
        return container(get_args(hint))
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum(hint)
    return _LENIENT.get(hint) or _exact(hint)


def _exact(kind: type) -> _Decoder:
    def decode_exact(plain: Any) -> Any:
        if type(plain) is not kind:
            raise Undecodable(f"expected {kind.__name__}, found {type(plain).__name__}")
        return plain

    return decode_exact


def _list(plain: Any) -> list[Any]:
    return _exact(list)(plain)


def _float(plain: Any) -> float:
    return float(plain) if type(plain) is int else _exact(float)(plain)


def _bytes(plain: Any) -> bytes:
    return base64.b64decode(_exact(str)(plain), validate=True)


def _enum(kind: type[Enum]) -> _Decoder:
    values = {member.value: member for member in kind}
    return lambda plain: values[plain]


def _frozenset(arguments: tuple[Any, ...]) -> _Decoder:
    item = _decoder(arguments[0])
    return lambda plain: frozenset(item(member) for member in _list(plain))


def _mapping(arguments: tuple[Any, ...]) -> _Decoder:
    pair = _tuple(arguments)
    return lambda plain: dict(pair(member) for member in _list(plain))


def _tuple(arguments: tuple[Any, ...]) -> _Decoder:
    if arguments[-1] is Ellipsis:
        item = _decoder(arguments[0])
        return lambda plain: tuple(item(member) for member in _list(plain))
    items = [_decoder(argument) for argument in arguments]

    def decode_tuple(plain: Any) -> tuple[Any, ...]:
        if len(_list(plain)) != len(items):
            raise Undecodable(f"expected {len(items)} items, found {len(plain)}")
        return tuple(item(member) for item, member in zip(items, plain, strict=True))

    return decode_tuple


def _union(members: tuple[Any, ...]) -> _Decoder:
    tagged = {member for member in members if is_dataclass(member)}
    by_tag: dict[str, _Decoder] = {cast(type, member).__name__: _decoder(member) for member in tagged}
    by_type = {_written(member): _decoder(member) for member in members if member not in tagged}

    def decode_union(plain: Any) -> Any:
        return by_tag[plain[_TAG]](plain) if isinstance(plain, dict) else by_type[type(plain)](plain)

    return decode_union


def _written(member: Any) -> type:
    """The type that a member of a union has in JSON."""
    return list if get_origin(member) is tuple else member


def _dataclass(kind: type[Any]) -> _Decoder:
    hints = get_type_hints(kind)
    members = {field.name: _decoder(hints[field.name]) for field in fields(kind)}
    required = {field.name for field in fields(kind) if not _has_default(field)}

    def decode_dataclass(plain: Any) -> Any:
        given = dict(plain)
        if given.pop(_TAG, None) != kind.__name__ or not required <= given.keys() <= members.keys():
            raise Undecodable(f"not the fields of a {kind.__name__}")
        return kind(**{name: members[name](value) for name, value in given.items()})

    return decode_dataclass


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


_LENIENT: dict[Any, _Decoder] = {bytes: _bytes, float: _float}
_CONTAINERS: dict[Any, Callable[[tuple[Any, ...]], _Decoder]] = {
    Union: _union,
    types.UnionType: _union,
    tuple: _tuple,
    frozenset: _frozenset,
    Mapping: _mapping,
}

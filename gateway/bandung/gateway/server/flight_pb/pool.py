"""Builds message classes from the committed descriptor set (`make proto` writes it, `make proto-check` compares it)."""

from __future__ import annotations

from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper


def _load() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    content = resources.files("bandung.gateway.server.flight_pb").joinpath("flight.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(content).file:
        pool.Add(file)
    return pool


_POOL = _load()


def file(name: str) -> FileDescriptor:
    """Return the descriptor of one `.proto` file."""
    return _POOL.FindFileByName(name)


def names(name: str) -> dict[str, Any]:
    """Return the message classes, enums and enum values of one `.proto` file, as generated code would define them."""
    descriptor = file(name)
    found: dict[str, Any] = {
        message: message_factory.GetMessageClass(type_) for message, type_ in descriptor.message_types_by_name.items()
    }
    for enum, type_ in descriptor.enum_types_by_name.items():
        found[enum] = EnumTypeWrapper(type_)
        found.update({value.name: value.number for value in type_.values})
    return found

"""Messages of protocol buffers read without their schema: fields by number, as their bytes have them."""

from collections.abc import Iterator

from steelyard.core.errors import SteelyardError

Field = int | bytes


def fields(data: bytes) -> Iterator[tuple[int, Field]]:
    """The number and value of every field: a whole number, or bytes for a text, a message or packed numbers. Raises
    SteelyardError for bytes that are no message."""
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        number, sort = key >> 3, key & 7
        if sort == 0:
            value, at = _number(data, at)
            yield number, value
        elif sort in (1, 2, 5):
            length, at = (8, at) if sort == 1 else (4, at) if sort == 5 else _number(data, at)
            if at + length > len(data):
                raise SteelyardError(f"a message of {len(data)} bytes ends within its field {number}")
            yield number, data[at : at + length]
            at += length
        else:
            raise SteelyardError(f"a message of {len(data)} bytes has a field of the unknown sort {sort}")


def message(data: bytes) -> dict[int, Field]:
    """The last value of each field. What is not there has its default: 0, or nothing."""
    return dict(fields(data))


def whole(message: dict[int, Field], number: int) -> int:
    """A field that is a whole number; 0 where it is not there."""
    value = message.get(number, 0)
    if not isinstance(value, int):
        raise SteelyardError(f"field {number} of a message is no whole number")
    return value


def part(message: dict[int, Field], number: int) -> bytes:
    """A field that is a text, a message or packed numbers; empty where it is not there."""
    value = message.get(number, b"")
    if not isinstance(value, bytes):
        raise SteelyardError(f"field {number} of a message is a whole number, where a text or a message was expected")
    return value


def packed(data: bytes) -> Iterator[int]:
    """Whole numbers one after the other."""
    at = 0
    while at < len(data):
        value, at = _number(data, at)
        yield value


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of a variable length, and where it ends."""
    found = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        found |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if byte < 128:
            return found, at
    raise SteelyardError(f"a message of {len(data)} bytes ends within a number")

"""Text out of files that other programs wrote."""

import json


def text_of(data: bytes) -> str:
    """Bytes as text, without a mark of the byte order: UTF-8, or UTF-16 and UTF-32 as Windows' tools write them.

    The text begins with an ASCII character. Raises UnicodeDecodeError.
    """
    return data.decode(json.detect_encoding(data))

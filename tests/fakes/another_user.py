"""Another user of this machine: a call made by a fork of this process under another uid, where this one is root's.

Elsewhere the fork only takes itself for another user: what is closed must then be closed to its owner as well.
"""

import os
import pickle
from collections.abc import Callable
from typing import Any

OTHER = 65534
CAN_BE_ANOTHER = os.geteuid() == 0


def as_another(call: Callable[[], Any]) -> Any:
    """What the call returns, or raises, under another uid."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if CAN_BE_ANOTHER:
                os.setgroups([])
                os.setgid(OTHER)
                os.setuid(OTHER)
            os.geteuid = lambda: OTHER  # type: ignore[assignment]
            answer: tuple[bool, Any] = (True, call())
        except BaseException as error:  # noqa: BLE001 (whatever it is, it is raised in the parent)
            answer = (False, error)
        os.write(write, pickle.dumps(answer))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        data = stream.read()
    os.waitpid(pid, 0)
    good, value = pickle.loads(data)
    if not good:
        raise value
    return value

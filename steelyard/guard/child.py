"""A process that ends with the one that started it, however that ended: killed outright as well, and while it is
itself stopped.

    python ... child.py PARENT -m MODULE [ARGUMENT ...]
    python ... child.py PARENT PROGRAM [ARGUMENT ...]

asks the kernel to kill this process when its parent dies (PR_SET_PDEATHSIG, Linux), and only then becomes the module
or the program. Asked here and not by a function between fork and exec, which is unsafe where there are threads; and
not by watching a pipe for its end, which a stopped process cannot do. The signal comes at the end of the *thread*
that started the process: that must be one which waits for it.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def module_command(name: str, *arguments: str, python: str = sys.executable) -> list[str]:
    """The command that runs a module as `python -P -m NAME` does, in a process that ends with this one; on another
    interpreter where one is given, which must have this module, too."""
    return [python, "-P", "-m", __name__, str(os.getpid()), "-m", name, *arguments]


def program_command(command: list[str]) -> list[str]:
    """The command that runs any other program, in a process that ends with this one."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def file_command(file: str, *arguments: str) -> list[str]:
    """The command that runs a file that needs the standard library alone, in a process that ends with this one."""
    return program_command([sys.executable, "-I", "-S", file, *arguments])


def end_with(parent: int) -> None:
    """This process ends when its parent does, or now if that is no longer the one it was: it was gone before the kernel
    was asked."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _main() -> None:
    parent, *command = sys.argv[1:]
    end_with(int(parent))
    if command[0] != "-m":
        os.execvp(command[0], command)  # noqa: S606 (a program of a list, which needs no shell)
    import runpy

    sys.argv = command[1:]
    runpy.run_module(command[1], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()

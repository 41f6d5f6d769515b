"""How a launch ended that did not come to its end: a status, a reason, and a row for every case that it owes."""

import signal

from steelyard.core.backend import Budget
from steelyard.core.exhaustion import out_of_memory
from steelyard.core.result import Result, Stage, Status
from steelyard.engine.listener import Listener
from steelyard.engine.protocol import LaunchRequest


def why(
    ended: str, exit_code: int | None, stage: Stage, starved: bool, last_words: str, budget: Budget
) -> tuple[Status, str]:
    """Status and reason of a launch that did not come to its end. `starved`: the kernel ended it for want of memory."""
    if ended not in ("exited", "timed_out"):
        return "failed", ended
    if ended == "timed_out":
        return "timed_out", f"no end of stage '{stage}' within its time-out"
    died = exit_code is not None and exit_code < 0
    how = f"killed by {signal_name(-exit_code)}" if died and exit_code else f"exited with code {exit_code}"
    if starved and exit_code == -signal.SIGKILL:
        limit = f"; the limit was {budget.memory_cap}" if budget.memory_cap_bytes is not None else ""
        return "out_of_memory", f"killed by the kernel for want of memory in stage '{stage}'{limit}"
    if said := next((line for line in reversed(last_words.splitlines()) if out_of_memory(line)), ""):
        return "out_of_memory", f"{how} in stage '{stage}'; it said: {said.strip()[:300]}"
    if budget.memory_cap_by == "rlimit":
        how += f", which may be for want of memory (the limit was {budget.memory_cap}): it did not say why,"
    return "crashed", f"{how} in stage '{stage}'"


def unfinished(request: LaunchRequest, listener: Listener, status: Status, reason: str, log_tail: str) -> list[Result]:
    """A row for the case that the launch ended in, and `skipped` for those it never reached."""
    finished = {result.case_id for result in listener.results}
    waiting = [case.case_id for case in request.cases if case.case_id not in finished]
    culprit = listener.case_id if listener.case_id in waiting else (waiting[0] if waiting else "")
    rows = []
    for case_id in waiting:
        guilty = case_id == culprit
        rows.append(
            Result(
                case_id=case_id,
                arm=request.arm,
                round=request.round,
                position=request.position,
                group=request.group,
                launch=request.launch,
                status=status if guilty else "skipped",
                stage=listener.stage,
                reason=reason if guilty else f"the launch ended in another case before this one: {reason}",
                log_tail=log_tail if guilty else "",
                first_in_launch=request.cases[0].case_id == case_id,
            )
        )
    return rows


def signal_name(number: int) -> str:
    """A signal's name; its number where it has none, as most real-time signals."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

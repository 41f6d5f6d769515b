"""Why a segment ended, in the words of a report and of a screen."""

from collections.abc import Mapping

IN_A_REPORT: Mapping[str, str] = {
    "precision": "as soon as the intervals were as narrow as asked",
    "rounds": "after as many rounds as were planned",
    "time": "when the time that it was given was used up",
    "nothing_left": "when no case was left that could run",
    "interrupted": "when it was stopped by hand",
    "recovered": "unplanned, after which whole rounds were recovered",
}
ON_A_SCREEN: Mapping[str, str] = {
    "precision": "the intervals of the headline are as narrow as asked for",
    "rounds": "the planned number of rounds is reached",
    "time": "the time given is used up",
    "nothing_left": "every case has failed twice for one reason, or cannot be run: nothing is left to launch",
    "interrupted": "interrupted; what was measured is kept, --resume goes on",
}

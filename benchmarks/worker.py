"""One library in a process of its own: reads ``case seconds`` lines, answers with a line of JSON each.

Work of one thread is timed by the processor time that the process used, so that other programs of the machine, which
take turns with it, do not count; work of several threads by the clock.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import statistics
import sys
import time
from typing import Any

import numpy as np

from benchmarks.cases import CASES


def digest(result: Any) -> str:
    """A name of an integer result, whatever its dtype."""
    values = np.ascontiguousarray(np.asarray(result), dtype=np.int64)
    return hashlib.sha256(values.tobytes()).hexdigest()[:16]


def main() -> int:
    library = importlib.import_module(f"benchmarks.libraries.{sys.argv[1]}")
    answers = sys.stdout
    sys.stdout = sys.stderr  # libraries may print
    work: dict[str, Any] = {}
    for line in sys.stdin:
        name, seconds = line.split()
        case = CASES[name]
        answer: dict[str, Any] = {}
        if name not in work:
            make = getattr(library, case.limit if sys.argv[1] == "limits" else case.kind, None)
            work.clear()  # one case at a time: memory
            work[name] = make(case) if make else None
            if work[name] is not None:
                result = work[name]()
                if case.exact and result is not None:
                    answer["digest"] = digest(result)
        run = work[name]
        if run is None:
            answer["missing"] = True
        else:
            clock = time.process_time if case.threads == 1 else time.perf_counter
            times: list[float] = []
            while not times or (sum(times) < float(seconds) and len(times) < 200):
                start = clock()
                run()
                times.append(clock() - start)
            answer |= {"best": min(times), "median": statistics.median(times)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

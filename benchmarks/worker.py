"""One process of one contender: imports, says so, waits for the start, and trains.

It gets its job as an argument, in JSON, and writes one line of JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from benchmarks.contenders import CONTENDERS
from benchmarks.workloads import Job, named


def main() -> None:
    given = json.loads(sys.argv[1])
    contender = CONTENDERS[given["contender"]]
    job = Job(named(given["workload"]), tuple(given["seeds"]), given["steps"])
    train = contender.load()
    _ = job.examples, job.order
    print("ready", flush=True)
    if not sys.stdin.readline():  # whoever would have started it is gone
        return
    try:
        result = asdict(train(job))
    except Exception as error:  # the run goes on, and tells what this one cannot do
        text = (str(error).strip() or "no message").splitlines()[0]
        result = {"failure": f"{type(error).__name__}: {text}"}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()

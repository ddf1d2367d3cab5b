"""A process that commits to a ledger from several threads until it is killed or has made enough.

Arguments: directory, threads, commits per thread, and when to acknowledge: `after` the commit, or `before` it (the
fault that the torture must find). Acknowledged exchange ids go to standard output, one on a line.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from bandung.gateway.domain.budget import Charge
from tests.support.ledgers import a_commit, a_ledger, an_answer


def main(directory: Path, threads: int, commits: int, acknowledge: str) -> None:
    with a_ledger(directory) as opened:

        def work(number: int) -> None:
            for count in range(commits):
                exchange = f"{os.getpid()}-{number}-{count}"
                line = f"{exchange}\n".encode()
                if acknowledge == "before":
                    os.write(1, line)
                answer = an_answer(f"plan/{exchange}")
                opened.ledger.commit(a_commit(Charge("all", 1, 10**6), answer=answer, exchange=exchange))
                if acknowledge == "after":
                    os.write(1, line)

        workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])

"""A process whose files may not grow beyond a size: commits until its ledger seals, acknowledging on standard output.

Arguments: directory, and the largest file size in bytes. The last line says what a second commit was told.
"""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path

from bandung.gateway.domain.errors import Refusal
from tests.support.ledgers import a_commit, a_ledger, an_answer


def main(directory: Path, file_bytes_max: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with a_ledger(directory) as opened:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))
        count = 0
        try:
            while True:
                opened.ledger.commit(a_commit(answer=an_answer(f"plan/{count}", content=b"x" * 3000)))
                print(count, flush=True)
                count += 1
        except Refusal as refusal:
            print(refusal.code, flush=True)
        try:
            opened.ledger.commit(a_commit())
        except Refusal as refusal:
            print(refusal.code, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

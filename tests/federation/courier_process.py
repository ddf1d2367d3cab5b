"""A courier of the tests, as a process: `python -m … CONFIG`."""

import logging
import sys
from pathlib import Path

from bandung.federation.courier.config import load_courier_config
from bandung.federation.courier.run import run_courier

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    sys.exit(run_courier(load_courier_config(Path(sys.argv[1]))))

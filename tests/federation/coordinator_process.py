"""A coordinator of the tests, as a process: `python -m … DIRECTORY PUBLIC_PORT INTERNAL_PORT [mutual]`."""

import logging
import sys
from pathlib import Path

from bandung.federation.superlink.config import CoordinatorConfig
from bandung.federation.superlink.coordinator import run_coordinator

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    home = Path(sys.argv[1])
    config = CoordinatorConfig(
        directory=home / "coordinator",
        public_host="127.0.0.1",
        public_port=int(sys.argv[2]),
        internal_host="127.0.0.1",
        internal_port=int(sys.argv[3]),
        certificate=home / "server.pem",
        key=home / "server.key",
        ca=home / "ca.pem",
        token_file=home / "token",
        serverapp_env={"BANDUNG_JOB_DRIVER": "tests.federation.echo:drive"},
        public_body_bytes_max=1_000_000,
        drain_s=3.0,
        require_client_certificate=sys.argv[4:] == ["mutual"],
    )
    sys.exit(run_coordinator(config))

"""`python -m bandung.federation` is the command `bandung`."""

import sys

from bandung.federation.cli import main

sys.exit(main())

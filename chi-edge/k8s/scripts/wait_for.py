"""Waits until a file is there. The pod's own deadline ends it otherwise."""

import sys
import time
from pathlib import Path

file = Path(sys.argv[1])
print(f"waiting for {file}", flush=True)
while not file.exists():
    time.sleep(1)

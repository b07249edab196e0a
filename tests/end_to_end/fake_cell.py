"""A cell that does what its seed says, quickly: a stand-in for training in tests of the driver.

0, 10, 11, ...: ends ok      1: kills itself      2: hangs on its first attempt only
3: hangs always              4: eats memory       5: diverges
6: leaves half a status      7: exits without a status, after some words

As an audit it ends ok at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

folder = Path(sys.argv[-1])
if "--audit" in sys.argv:
    (folder / "status.json").write_text('{"status": "ok", "exit_code": 0}')
    sys.exit(0)
spec = json.loads((folder / "spec.json").read_text())
seed, attempt = spec["seed"], spec["attempt"]
with (folder / "starts.txt").open("a") as file:
    file.write(f"{os.getpid()}\n")
progress = {"phase": "rollout", "update": 1, "updates": 3, "reward": 0.5, "completion_tokens": 8}
(folder / "progress.json").write_text(json.dumps(progress))
print("I am seed", seed, flush=True)

status, code = "ok", 0
if seed == 1:
    os.kill(os.getpid(), signal.SIGKILL)
elif seed == 3 or (seed == 2 and attempt == 1):
    time.sleep(60)
elif seed == 4:
    held = b"x" * 400 * 2**20
    time.sleep(60)
elif seed == 5:
    status, code = "diverged", 3
elif seed == 6:
    (folder / "status.json").write_text('{"status": "o')
    sys.exit(1)
elif seed == 7:
    print("no luck", flush=True)
    os._exit(7)
message = None if status == "ok" else "the loss is not a number"
ended = {"status": status, "exit_code": code, "error_message": message, "wall_s": 0.1}
(folder / "status.json.part").write_text(json.dumps(ended))
os.replace(folder / "status.json.part", folder / "status.json")
sys.exit(code)

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from tomolith.errors import LockedError
from tomolith.store.locks import lock

HOLD = """
import sys, time
from pathlib import Path
from tomolith.store.locks import lock
with lock(Path(sys.argv[1]), "predict"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_named_and_its_death_frees_the_lock(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError) as caught, lock(tmp_path, "import"):
            pass
        message = str(caught.value)
        assert f"process {holder.pid} on {socket.gethostname()} (predict" in message
        assert str(tmp_path) in message
        assert caught.value.exit_code == 3
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    with lock(tmp_path, "import"):
        pass


def test_the_lock_is_freed_by_leaving_and_by_errors(tmp_path):
    with pytest.raises(ZeroDivisionError), lock(tmp_path / "new", "import"):
        _ = 1 // 0
    new, own = tmp_path / "new", str(os.getpid())
    with lock(new, "import"), pytest.raises(LockedError, match=own), lock(new, "again"):
        pass
    with lock(tmp_path / "new", "import"), lock(tmp_path / "other", "import"):
        pass


def test_a_holder_that_left_no_name_is_still_refused(tmp_path):
    with lock(tmp_path, "import"):
        (tmp_path / "lock").write_text("")
        with pytest.raises(LockedError, match="another process"), lock(tmp_path, "again"):
            pass

"""What the benchmarks share: building, processes on cores of their own, CPU time, a real broker."""

import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("WEIR_CACHE", ROOT / ".cache"))
TICKS = os.sysconf("SC_CLK_TCK")


def build():
    """Builds what is measured; returns the folder of the executables."""
    command = ["cargo", "build", "--locked", "--release", "--workspace", "--bins", "--examples"]
    subprocess.run(command, cwd=ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


def python_with_packages(requirements):
    """A Python that has the packages of a file, whose first line names its folder."""
    folder = CACHE / f"bench-{requirements.read_text().split()[0]}"
    python = folder / "bin/python"
    if not (folder / ".complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)
        (folder / ".complete").touch()
    return python


def cpu(pid):
    """Seconds of CPU that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"nothing listens on port {port}")


def spread(values):
    return f"{statistics.median(values):.2f} [{min(values):.2f}-{max(values):.2f}]"


class Bench:
    """A folder and processes, gone at the end."""

    def __init__(self, binaries):
        self.binaries = binaries
        self.folder = Path(tempfile.mkdtemp())
        self.processes = []
        # The core of what is measured and that of the others; one for all where there is one.
        known = sorted(os.sched_getaffinity(0))
        self.own_core, self.other_core = str(known[0]), str(known[-1])

    def __enter__(self):
        # A signal ends a run with all that it started.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, core, command, **more):
        process = subprocess.Popen(["taskset", "-c", core, *map(str, command)], **more)
        self.processes.append(process)
        return process

    def end(self, process, by=signal.SIGTERM):
        process.send_signal(by)
        process.wait(30)
        self.processes.remove(process)

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(30)
        self.processes = []

    def weir(self, brokers, arguments, variables=None):
        """Starts Weir on the core of what is measured, with no settings but these."""
        settings = {
            "WEIR_STREAM": f"kafka://{brokers}",
            "WEIR_DATA_DIR": str(self.folder / "weir"),
            "WEIR_LOG__LEVEL": "warn",
        }
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}
        return self.start(
            self.own_core,
            [self.binaries / "weir", *arguments],
            env=environment | settings | (variables or {}),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )

    @contextlib.contextmanager
    def kafka(self):
        """A real broker on the core of the others; gives its address and process id."""
        script, folder = ROOT / "tests/services/kafka", self.folder / "kafka"
        subprocess.run([script, "install", folder], check=True)
        subprocess.run([script, "start", folder], check=True)
        try:
            pid = int((folder / "pid").read_text())
            command = ["taskset", "-acp", self.other_core, str(pid)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            brokers = (folder / "bootstrap").read_text().strip()
            if self.weir(brokers, ["topics"]).wait(60) != 0:
                sys.exit("weir topics failed")
            yield brokers, pid
        finally:
            subprocess.run([script, "stop", folder], check=True)

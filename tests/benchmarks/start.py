"""How long the program takes to its first answer and its first judgement, and how much memory it then holds."""

import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import httpx

from tests.benchmarks.measure import Figure, table

ROOT = Path(__file__).resolve().parents[2]
BARE = """
import starlette, uvicorn, sqlmodel
print(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")), flush=True)
"""
Times = dict[str, list[float]]


def main(*, quick: bool = False) -> None:
    """Starts on an empty folder and on one that holds data, beside bare Python with the same libraries."""
    seconds: Times = defaultdict(list)
    megabytes: Times = defaultdict(list)
    for _ in range(3 if quick else 7):  # turn by turn, so that a busy moment hits all
        _bare(seconds, megabytes)
        with tempfile.TemporaryDirectory(prefix="linli-start-") as folder:
            _life(Path(folder), "empty folder", seconds, megabytes)
            _life(Path(folder), "with data", seconds, megabytes)
    base, memory = Figure(seconds["bare imports"]), Figure(megabytes["bare imports"])
    rows = []
    for name, values in seconds.items():
        took, holds = Figure(values), Figure(megabytes[name]) if name in megabytes else None
        rows.append((name, took, took.beside(base), holds or "", holds.beside(memory) if holds else ""))
    table("Start", ("", "seconds", "to bare", "MB", "to bare"), rows)


def _bare(seconds: Times, megabytes: Times) -> None:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", BARE], check=True, capture_output=True, text=True)
    seconds["bare imports"].append(time.perf_counter() - began)
    megabytes["bare imports"].append(megabytes_in(done.stdout))


def _life(data: Path, name: str, seconds: Times, megabytes: Times) -> None:
    began = time.perf_counter()

    def note(what: str) -> None:
        seconds[f"{name}: {what}"].append(time.perf_counter() - began)

    command = [sys.executable, "-m", "bot", "run", "--data", str(data), "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as program:
        try:
            assert program.stdout
            address = re.search(r"http://[\w.:]+", program.stdout.readline())
            assert address
            note("address printed")
            with httpx.Client(base_url=address[0], trust_env=False, timeout=30) as page:
                phones = page.get("/playground/phones").raise_for_status().json()["phones"]
                who = {"slot": "owner", "who": phones[0]["who"]}
                for text, what in (("/help", "first answer"), ("厨房水龙头滴水", "first judgement")):
                    said = {**who, "key": f"{began}{what}", "text": text}
                    page.post("/playground/say", data=said).raise_for_status()
                    note(what)
                    status = Path(f"/proc/{program.pid}/status").read_text("ascii")
                    megabytes[f"{name}: {what}"].append(megabytes_in(status))
        finally:
            program.terminate()


def megabytes_in(status: str) -> float:
    """What a process holds, by its status in /proc."""
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


if __name__ == "__main__":
    main()

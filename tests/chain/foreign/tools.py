"""Where the verifiers of others are found, or made: Go's own, and three packages in a venv."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

from tests.support.source import ROOT

HERE = Path(__file__).parent
VENV = ROOT / ".foreign"
_SUMDB = "golang.org/x/mod/sumdb"


def run(*command: str | Path, **environment: str) -> str:
    """Run to the end; what it prints. Fails with what it says of its failure."""
    done = subprocess.run(
        [str(one) for one in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=600,
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout


def go_program(folder: Path) -> Path | str:
    """`verify.go` built against golang.org/x/mod/sumdb, or the reason why it cannot be.

    The sources come from Debian's golang-golang-x-mod-dev, or from Go's own tree, which holds them
    for its command. No module is fetched.
    """
    go = shutil.which("go")
    if go is None:
        return "no Go on this machine"
    places = [
        Path("/usr/share/gocode/src"),
        Path(run(go, "env", "GOROOT").strip(), "src/cmd/vendor"),
    ]
    found = next((place / _SUMDB for place in places if (place / _SUMDB / "tlog").is_dir()), None)
    if found is None:
        return f"no sources of {_SUMDB} on this machine"
    shutil.copytree(found, folder / "src" / _SUMDB)
    made = folder / "verify"
    run(
        go,
        "build",
        "-o",
        made,
        HERE / "verify.go",
        GO111MODULE="off",
        GOPATH=str(folder),
        GOFLAGS="",
    )
    return made


def _newer_python() -> str | None:
    names = [f"python3.{minor}" for minor in (14, 13, 12)]
    paths = [path for name in names if (path := shutil.which(name))]
    paths += [str(path) for path in Path.home().glob(".pyenv/versions/3.1[2-4]*/bin/python")]
    code = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 12))"
    for path in paths:
        if subprocess.run([path, "-c", code], capture_output=True, check=False).returncode == 0:
            return path
    return None


@functools.cache
def venv() -> Path | str:
    """The folder of programs of a venv with aics-tlog, aics-witness and tlog-scales.

    Made once, in `.foreign`; a reason when no Python 3.12 or newer is there to make it with.
    """
    programs = VENV / ("Scripts" if os.name == "nt" else "bin")
    wanted = (HERE / "requirements.txt").read_text(encoding="utf-8")
    stamp = VENV / "installed.txt"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return programs
    python = _newer_python()
    if python is None:
        return "no Python 3.12 or newer on this machine"
    run(python, "-m", "venv", "--clear", VENV)
    pip = (programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "-r", HERE / "requirements.txt", PYTHONPATH="")
    stamp.write_text(wanted, encoding="utf-8")
    return programs

"""Virtual environments, one for each peer, since some of them need an old NumPy or many other packages."""

import json
import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# These versions work together. fastText's Python `predict` breaks with NumPy 2.
REQUIREMENTS = {
    "fastsoftmax": [],  # it runs in the running interpreter
    "torch": ["torch>=2.4", "numpy", "scipy"],
    "fasttext": ["fasttext==0.9.3", "numpy<2", "scipy"],
    "pecos": ["libpecos==1.2.8"],
    "napkinxc": ["napkinxc==0.7.2", "numpy", "scipy"],
    "omikuji": ["omikuji==0.5.2", "numpy", "scipy"],
    "libmultilabel": ["libmultilabel==0.10.0", "numpy", "scipy"],  # its linear part: without torch
    "vowpalwabbit": ["vowpalwabbit==9.11.9", "numpy", "scipy"],
    "liblinear": ["liblinear-official==2.50.0", "numpy", "scipy"],
    "gensim": ["gensim==4.4.0", "numpy", "scipy"],
}
_COMPLETE = "complete.json"  # written last, so that a folder without it does not count


def root():
    """Return the folder of all environments."""
    return Path(os.environ.get("FASTSOFTMAX_PEERS") or Path.home() / ".cache" / "fastsoftmax" / "peers")


def python_of(environment):
    """Return the path of the interpreter that runs an environment's systems, or None if it is not installed."""
    requirements = REQUIREMENTS[environment]
    if not requirements:
        return sys.executable
    folder = root() / environment
    if (folder / _COMPLETE).is_file():
        return str(_interpreter(folder))
    return sys.executable if all(_is_here(name) for name in _names(requirements)) else None


def install(names):
    """Make the environments of these names, and report those that fail.

    Returns
    -------
    failed : list of str
    """
    failed = []
    for name in names:
        requirements = REQUIREMENTS[name]
        if not requirements:
            print(f"{name}: the running interpreter, nothing to install")
            continue
        print(f"{name}: {' '.join(requirements)} ...", flush=True)
        try:
            reason = _make(root() / name, requirements)
        except (
            OSError,
            subprocess.CalledProcessError,
        ) as error:  # a folder that is not ours, a Python without ensurepip
            reason = str(error)
        print(f"{name}: {'FAILED: ' + reason if reason else 'installed'}", flush=True)
        if reason:
            failed.append(name)
    return failed


def listing():
    """Return a line for each environment: where it is, and its versions."""
    lines = []
    for name, requirements in REQUIREMENTS.items():
        python = python_of(name)
        if python is None:
            lines.append(f"{name}: not installed")
            continue
        own = root() / name / _COMPLETE
        found = json.loads(own.read_text()) if requirements and own.is_file() else None
        if found is None:
            found = {package: version(package) for package in _names(requirements)}
        versions = ", ".join(f"{package} {number}" for package, number in found.items())
        lines.append(f"{name}: {python}{': ' + versions if versions else ''}")
    return lines


def _make(folder, requirements):
    """Make an environment; return why it failed, or "" if it did not."""
    (folder / _COMPLETE).unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    venv.create(folder, with_pip=True)
    python = str(_interpreter(folder))
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        return f"pip ended with {done.returncode}\n{done.stderr[-2000:]}"
    code = (
        "import json, sys; from importlib.metadata import version; "
        "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
    )
    done = subprocess.run([python, "-c", code, *_names(requirements)], capture_output=True, text=True)
    if done.returncode:
        return f"its distributions are not there\n{done.stderr[-2000:]}"
    unfinished = folder / (_COMPLETE + ".new")
    unfinished.write_text(done.stdout)
    unfinished.replace(folder / _COMPLETE)
    return ""


def _interpreter(folder):
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _names(requirements):
    return [requirement.replace("<", "=").replace(">", "=").split("=")[0] for requirement in requirements]


def _is_here(distribution):
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True

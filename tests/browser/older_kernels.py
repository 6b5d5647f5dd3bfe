"""Runs the tests of Stop on older kernels: ``python tests/browser/older_kernels.py [version ...]``.

Each version of ipykernel is installed alone into a new environment that takes everything else from this one. It needs
a package index, and so is no test itself.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

VERSIONS = ["6.31.*", "7.3.*"]
TESTS = Path(__file__).with_name("test_lab.py")


def run(version: str, folder: Path) -> int:
    """Run the tests on one version; the exit status of pytest."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", f"ipykernel=={version}"]
    subprocess.run(install, check=True)
    here = Path(sysconfig.get_path("purelib"))
    own = folder / here.relative_to(sys.prefix)
    (own / "everything_else.pth").write_text(f"{here}\n")
    command = [python, "-m", "pytest", str(TESTS), "-k", "stop", "-q", "-p", "no:nbval", "-o", "addopts="]
    share, etc = (Path(sys.prefix) / where / "jupyter" for where in ("share", "etc"))  # the front ends' parts
    parts = {"JUPYTER_PATH": share, "JUPYTERLAB_DIR": share / "lab", "JUPYTER_CONFIG_PATH": etc}
    settings = {**os.environ, **{name: str(path) for name, path in parts.items()}}
    return subprocess.run(command, cwd=TESTS.parents[2], env=settings, check=False).returncode


if __name__ == "__main__":
    for version in sys.argv[1:] or VERSIONS:
        sys.stdout.write(f"ipykernel {version}\n")
        sys.stdout.flush()
        with tempfile.TemporaryDirectory() as folder:
            if status := run(version, Path(folder)):
                sys.exit(status)

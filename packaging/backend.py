"""Builds the wheel for `pip install .`, and for pre-commit, which installs hooks that way.

At the tag of a release, in a git checkout, the wheel of that very release is taken from the package index: nobody who
installs a hook needs a Rust toolchain. In every other case (a development version, an archive, no wheel for the
platform) maturin builds from source. `ZDM_BUILD=source` always builds.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MATURIN = "maturin>=1.9,<2"


def version():
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    return re.search(r'^version = "(.+)"$', manifest, re.MULTILINE).group(1)


def at_release():
    """Whether the checkout is exactly the tag of its version."""
    if os.environ.get("ZDM_BUILD") == "source":
        return False
    command = ["git", "-C", str(ROOT), "tag", "--points-at", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        status = ["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"]
        changed = subprocess.run(status, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return False
    return "v" + version() in found and not changed


def released_wheel(directory):
    """Downloads the release's wheel into the directory; its file name, or None where there is none."""
    command = [sys.executable, "-I", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(directory), "zdm-lint==" + version()]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return None
    wheels = sorted(pathlib.Path(directory).glob("zdm_lint-*.whl"))
    return wheels[-1].name if wheels else None


def get_requires_for_build_wheel(config_settings=None):
    if at_release():
        with tempfile.TemporaryDirectory() as directory:
            if released_wheel(directory) is not None:
                return []
    return [MATURIN]


def get_requires_for_build_sdist(config_settings=None):
    return [MATURIN]


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    if at_release():
        wheel = released_wheel(wheel_directory)
        if wheel is not None:
            return wheel
    import maturin

    return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_sdist(sdist_directory, config_settings=None):
    import maturin

    return maturin.build_sdist(sdist_directory, config_settings)

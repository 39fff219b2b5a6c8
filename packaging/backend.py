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


def git(*arguments):
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def at_release():
    """Whether the checkout is exactly the tag of its version, here or, as for pre-commit's clones, at its origin."""
    if os.environ.get("ZDM_BUILD") == "source":
        return False
    tag = "refs/tags/v" + version()
    try:
        if git("status", "--porcelain", "--untracked-files=no"):
            return False
        head = git("rev-parse", "HEAD")
        if tag.rpartition("/")[2] in git("tag", "--points-at", "HEAD").split():
            return True
        # The commit of an annotated tag has a line of its own, which ends with ^{}.
        return head in git("ls-remote", "origin", tag, tag + "^{}").split()
    except (OSError, subprocess.SubprocessError):
        return False


def released_wheel(directory):
    """Downloads the release's wheel into the directory; its file name, or None where there is none."""
    command = [sys.executable, "-I", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(directory), "zdm-lint==" + version()]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
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

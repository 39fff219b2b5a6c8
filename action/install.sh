#!/usr/bin/env bash
# Provides zdm-lint: the binary that was named, or the release from PyPI in a virtual environment of its own.
set -euo pipefail

if [ -n "${ZDM_BINARY:-}" ]; then
    binary=$(command -v -- "$ZDM_BINARY") || { echo "::error::zdm-lint: \`$ZDM_BINARY\` is not a program"; exit 2; }
    case "$binary" in /* | [A-Za-z]:*) ;; *) binary="$PWD/$binary" ;; esac
else
    version="${ZDM_VERSION:-}"
    if [ -z "$version" ]; then
        # The action and the program are released together.
        version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$GITHUB_ACTION_PATH/Cargo.toml" | head -n 1)
    fi
    python=$(command -v python3 || command -v python) ||
        { echo "::error::zdm-lint: no Python to install with; add actions/setup-python before this step"; exit 2; }
    place="${RUNNER_TEMP:-/tmp}/zdm-lint-$version"
    "$python" -m venv "$place"
    bin="$place/bin"
    [ -d "$bin" ] || bin="$place/Scripts"
    "$bin/python" -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: \
        "zdm-lint==$version" ||
        { echo "::error::zdm-lint: release $version has no wheel for this runner"; exit 2; }
    binary="$bin/zdm-lint"
fi
"$binary" --version
echo "binary=$binary" >> "$GITHUB_OUTPUT"

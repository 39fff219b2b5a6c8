#!/usr/bin/env bash
# Runs the check once and writes every report that was asked for. Findings do not end the job here: the reports are sent
# first. What keeps the check from being made does.
set -euo pipefail

arguments=(check)
paths=()
option() { [ -z "$2" ] || arguments+=("$1" "$2"); }
each_line() {
    local line
    while IFS= read -r line || [ -n "$line" ]; do
        line="${line%$'\r'}"
        [ -z "$line" ] || "$@" "$line"
    done
}
severity() { arguments+=(--severity "$1"); }
argument() { arguments+=("$1"); }
path() { paths+=("$1"); }

[ "$ZDM_BASE" = none ] || option --base "$ZDM_BASE"
option --postgres "$ZDM_POSTGRES"
option --django "$ZDM_DJANGO"
option --config "$ZDM_CONFIG"
option --select "$ZDM_SELECT"
option --ignore "$ZDM_IGNORE"
option --fail-on "$ZDM_FAIL_ON"
option --baseline "$ZDM_BASELINE"
option --stats "$ZDM_STATS"
each_line severity <<< "$ZDM_SEVERITY"
each_line argument <<< "$ZDM_ARGS"

report() { arguments+=(--format "$1" --output "$2"); }
if [ "$ZDM_ANNOTATIONS" = true ]; then report github -; else report concise -; fi
summary="${RUNNER_TEMP:-/tmp}/zdm-lint-summary-$$.md"
[ "$ZDM_SUMMARY" != true ] || report markdown "$summary"
sarif="$ZDM_SARIF"
if [ -z "$sarif" ] && [ "$ZDM_UPLOAD_SARIF" = true ]; then sarif="${RUNNER_TEMP:-/tmp}/zdm-lint-$$.sarif"; fi
[ -z "$sarif" ] || report sarif "$sarif"

each_line path <<< "$ZDM_PATHS"

code=0
# An empty list counts as unset for the bash of macOS.
"$ZDM" "${arguments[@]}" -- ${paths[@]+"${paths[@]}"} || code=$?
if [ "$ZDM_SUMMARY" = true ] && [ -f "$summary" ]; then
    cat "$summary" >> "$GITHUB_STEP_SUMMARY"
    rm -f "$summary"
fi
{
    echo "exit-code=$code"
    if [ -n "$sarif" ] && [ -f "$sarif" ]; then
        case "$sarif" in /* | [A-Za-z]:*) echo "sarif=$sarif" ;; *) echo "sarif=$PWD/$sarif" ;; esac
    fi
} >> "$GITHUB_OUTPUT"
if [ "$code" -gt 1 ]; then
    echo "::error title=zdm-lint::the check could not be made; the step's log says why and what to do"
    exit "$code"
fi

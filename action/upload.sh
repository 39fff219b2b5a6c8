#!/usr/bin/env bash
# Sends the SARIF report to code scanning (https://docs.github.com/rest/code-scanning/code-scanning#upload-an-analysis-as-sarif-data).
set -euo pipefail

if [ -z "${ZDM_SARIF:-}" ] || [ ! -f "$ZDM_SARIF" ]; then
    echo "::warning title=zdm-lint::there is no SARIF report to send"
    exit 0
fi
# Of a pull request the merge is checked out as a rule; whoever checks out its head reports on the head.
commit=$(git rev-parse HEAD)
ref="$GITHUB_REF"
if [ "$commit" != "$GITHUB_SHA" ]; then
    case "$ref" in refs/pull/*/merge) ref="${ref%/merge}/head" ;; esac
fi
body=$(mktemp)
answer=$(mktemp)
trap 'rm -f "$body" "$answer"' EXIT
report=$(mktemp)
# The category tells this report from others of the same commit.
sed "s|\"id\": \"zdm-lint/\"|\"id\": \"${ZDM_CATEGORY//[^A-Za-z0-9._\/-]/-}/\"|" "$ZDM_SARIF" > "$report"
printf '{"commit_sha":"%s","ref":"%s","checkout_uri":"file://%s","tool_name":"zdm-lint","sarif":"%s"}' \
    "$commit" "$ref" "$(git rev-parse --show-toplevel)" "$(gzip -c "$report" | base64 | tr -d '\n')" > "$body"
rm -f "$report"
status=$(curl --silent --show-error --retry 3 --output "$answer" --write-out '%{http_code}' \
    --request POST --data "@$body" \
    --header "Accept: application/vnd.github+json" --header "X-GitHub-Api-Version: 2022-11-28" \
    --header "Content-Type: application/json" --header "Authorization: Bearer $ZDM_TOKEN" \
    "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/code-scanning/sarifs") || status="none"
case "$status" in
    2??) echo "zdm-lint: the report was sent to code scanning" ;;
    403)
        # The token of a fork's pull request may not write; nobody can change that from inside.
        echo "::warning title=zdm-lint::code scanning refused the report (403): the job needs \`security-events: write\`, and pull requests from forks do not have it"
        ;;
    *)
        echo "::error title=zdm-lint::code scanning answered $status: $(head -c 300 "$answer" | tr '\n' ' ')"
        exit 2
        ;;
esac

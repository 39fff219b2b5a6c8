"""Writes functions.txt from the output of functions.sql on servers of versions 14 to 18:

    psql -At -F ' ' -f functions.sql > f14.txt   (on each server: f14.txt … f18.txt)
    python3 merge.py f14.txt f15.txt f16.txt f17.txt f18.txt > functions.txt
"""
import sys

# Built-in functions that came with 13 and 14 (release notes); 12 and 13 are not among the servers.
NEW = {
    13: "gen_random_uuid jsonb_set_lax jsonb_path_exists_tz jsonb_path_match_tz jsonb_path_query_tz "
        "jsonb_path_query_array_tz jsonb_path_query_first_tz trim_scale min_scale gcd lcm normalize is_normalized "
        "starts_with_regular pg_current_xact_id pg_current_snapshot",
    14: "string_to_table date_bin bit_count trim_array unistr multirange range_merge_multirange unnest_multirange "
        "bit_xor range_agg lower_inc_multirange",
}
# The grammar turns these words into expressions of their own.
KEYWORDS = """coalesce 1-* i
nullif 2-2 i
greatest 1-* i
least 1-* i
grouping 1-* i
current_timestamp 0-1 s
current_date 0-0 s
current_time 0-1 s
localtime 0-1 s
localtimestamp 0-1 s
current_user 0-0 s
current_role 0-0 s
current_catalog 0-0 s
session_user 0-0 s
user 0-0 s
extract 1-2 s
xmlelement 1-* i
xmlforest 1-* i
json_object 0-* s
json_array 0-* s"""

files = sys.argv[1:]
versions = list(range(14, 14 + len(files)))
seen = {}
for version, path in zip(versions, files):
    for line in open(path):
        name, arguments, volatility = line.split()
        seen.setdefault((name, arguments), {})[version] = "isv"[int(volatility) - 1]
lines = []
for (name, arguments), by_version in seen.items():
    for letter in sorted(set(by_version.values())):
        in_versions = [v for v in versions if by_version.get(v) == letter]
        since, until = min(in_versions), max(in_versions)
        words = [name, arguments, letter]
        if since == versions[0]:
            since = next((v for v, names in NEW.items() if name in names.split()), 0)
        if since:
            words.append(f"+{since}")
        if until != versions[-1]:
            words.append(f"-{until}")
        lines.append(" ".join(words))
lines += KEYWORDS.splitlines()
print("# PostgreSQL's built-in functions: name, least-most arguments (* repeats), volatility (i, s, v), +since, -until.")
print("# Written by merge.py from functions.sql on servers of versions 14 to 18.")
print("\n".join(sorted(lines)))

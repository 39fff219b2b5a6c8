"""Writes functions.txt from the output of functions.sql on servers of versions 12 to 18:

    psql -At -F ' ' -f functions.sql > f12.txt   (on each server: f12.txt … f18.txt)
    python3 merge.py f12.txt f13.txt f14.txt f15.txt f16.txt f17.txt f18.txt > functions.txt
"""
import sys

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
extract 1-2 is
xmlelement 1-* i
xmlforest 1-* i
json_object 0-* is
json_array 0-* is"""

files = sys.argv[1:]
versions = list(range(12, 12 + len(files)))
seen = {}
for version, path in zip(versions, files):
    for line in open(path):
        name, arguments, most, least = line.split()
        letters = "isv"[int(least) - 1] + "isv"[int(most) - 1]
        seen.setdefault((name, arguments), {})[version] = letters if least != most else letters[0]
lines = []
for (name, arguments), by_version in seen.items():
    for letter in sorted(set(by_version.values())):
        in_versions = [v for v in versions if by_version.get(v) == letter]
        since, until = min(in_versions), max(in_versions)
        words = [name, arguments, letter]
        if since != versions[0]:
            words.append(f"+{since}")
        if until != versions[-1]:
            words.append(f"-{until}")
        lines.append(" ".join(words))
lines += KEYWORDS.splitlines()
print("# PostgreSQL's built-in functions: name, least-most arguments (* repeats), volatility, +since, -until. The volatility is")
print("# i, s or v; two letters are the least and the most volatile of the overloads with these arguments.")
print("# Written by merge.py from functions.sql on servers of versions 12 to 18.")
print("\n".join(sorted(lines)))

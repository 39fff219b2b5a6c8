"""Writes parameters.txt from pg_settings of versions 12 to 18, by psql -At -F '|' (settings.12 …):

    select name, vartype, coalesce(unit, '-'), context, min_val, max_val, array_to_string(enumvals, ',') from pg_settings;
"""

VERSIONS = range(12, 19)
# Whoever may set it: that is not looked at.
CONTEXTS = {"superuser": "user", "superuser-backend": "backend"}

rows = {}
for version in VERSIONS:
    for line in open(f"settings.{version}").read().splitlines():
        name, kind, unit, context, least, most, members = line.split("|")
        values = {"enum": members, "integer": f"{least}..{most}", "real": f"{least}..{most}"}.get(kind, "-")
        if name == "server_version_num":
            values = "-"
        row = f"{kind} {unit} {CONTEXTS.get(context, context)} {values}"
        rows.setdefault((name.lower(), row), []).append(version)
lines = []
for (name, row), versions in rows.items():
    last = "" if versions[-1] == VERSIONS[-1] else versions[-1]
    lines.append((name, versions[0], f"{name} {versions[0]}-{last} {row}\n"))
with open("parameters.txt", "w") as out:
    out.write(
        "# The parameters of PostgreSQL 12 to 18 (`pg_settings`): name, versions, type, unit, when it can be set (by a session, or\n"
        "# only at the session's start, at the server's, or in its files), and the least and greatest value or the values of an enum.\n"
        "# A range of versions without an end goes on with what comes after 18. Written by parameters.py.\n"
    )
    out.writelines(line for _, _, line in sorted(lines))

"""Writes operators.txt and functions.txt from pg_operator and pg_proc of versions 12 to 18, by psql -At -F ' ':

    select o.oprname, coalesce(l.typname, '-'), r.typname, x.typname, case when o.oprcom = o.oid then 'c' else '-' end,
           p.provolatile
    from pg_operator o left join pg_type l on l.oid = oprleft join pg_type r on r.oid = oprright
    join pg_type x on x.oid = oprresult join pg_proc p on p.oid = oprcode;                      (operators.12 …)

    select proname, prokind, case when proretset then 's' else '-' end, provolatile,
           case when provariadic <> 0 then 'v' else '-' end, pronargdefaults, x.typname,
           (select string_agg(t.typname, ',' order by n)
            from unnest(proargtypes::oid[]) with ordinality u (o, n) join pg_type t on t.oid = u.o)
    from pg_proc join pg_type x on x.oid = prorettype where pronamespace = 11
    and not 'internal'::regtype = any (proargtypes::oid[])
    and prorettype not in ('internal'::regtype, 'trigger'::regtype, 'event_trigger'::regtype);   (functions.12 …)
"""

VERSIONS = range(12, 19)
HEADER = "# Written by merge.py from the catalogs of versions 12 to 18; +since, -until.\n"


def array(name):
    return name[1:] + "[]" if name.startswith("_") else name


def operator(line):
    name, left, right, result, commutes, volatility = line.split(" ")
    return f"{name} {array(left)} {array(right)} {array(result)} {commutes}{volatility}"


def function(line):
    name, kind, returns_set, volatility, variadic, defaults, result, arguments = (line + " ").split(" ")[:8]
    if result == "cstring" or "cstring" in arguments.split(","):
        return None
    arguments = ",".join(map(array, arguments.split(","))) if arguments else "-"
    return f"{name} {kind}{returns_set}{variadic}{volatility}{defaults} {array(result)} {arguments}"


def merge(kind, title, read):
    rows = {}
    for version in VERSIONS:
        for line in open(f"{kind}.{version}").read().splitlines():
            row = read(line)
            if row:
                rows.setdefault(row, []).append(version)
    with open(f"{kind}.txt", "w") as out:
        out.write(title + HEADER)
        for row, versions in sorted(rows.items()):
            since = f" +{versions[0]}" if versions[0] > VERSIONS[0] else ""
            until = f" -{versions[-1]}" if versions[-1] < VERSIONS[-1] else ""
            out.write(row + since + until + "\n")


merge("operators", "# pg_operator: name, left, right, result, c where it is its own commutator and its volatility.\n", operator)
merge(
    "functions",
    "# pg_proc: name, kind (f, a, w), s of a set, v variadic, volatility and number of defaults, result, arguments.\n",
    function,
)

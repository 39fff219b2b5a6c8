//! What a schema is to its users, whatever way led to it: the order of columns does not count, everything else does.

use zdm_testkit::Client;

const PARTS: [(&str, &str); 7] = [
    (
        "column",
        "SELECT format('%s.%s %s%s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
            coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ''),
            CASE WHEN a.attidentity = '' THEN '' ELSE ' IDENTITY ' || a.attidentity::text END)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v')
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped",
    ),
    (
        "constraint",
        "SELECT format('%s.%s %s%s', conrelid::regclass, conname, pg_get_constraintdef(oid),
            CASE WHEN convalidated THEN '' ELSE ' (not valid)' END)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'",
    ),
    (
        "index",
        "SELECT pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace",
    ),
    ("trigger", "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"),
    (
        "function",
        "SELECT pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND prokind <> 'a'",
    ),
    (
        "sequence",
        "SELECT format('%s %s owned by %s.%s', s.seqrelid::regclass, s.seqtypid::regtype,
            d.refobjid::regclass, a.attname)
        FROM pg_sequence s
        JOIN pg_class c ON c.oid = s.seqrelid AND c.relnamespace = 'public'::regnamespace
        LEFT JOIN pg_depend d ON d.objid = s.seqrelid AND d.deptype IN ('a', 'i')
            AND d.classid = 'pg_class'::regclass AND d.refobjsubid > 0
        LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid",
    ),
    (
        "type",
        "SELECT format('%s %s', t.oid::regtype, (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder)
            FROM pg_enum WHERE enumtypid = t.oid)) FROM pg_type t
        WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('e', 'd')",
    ),
];

/// The schema `public`, a line per part, sorted. What zdm keeps for itself in other schemas is not part of it.
pub fn schema(client: &Client) -> Vec<String> {
    let mut lines: Vec<String> = PARTS
        .iter()
        .flat_map(|(kind, sql)| {
            let rows =
                client.value(&format!("SELECT coalesce(string_agg(line, E'\\x01'), '') FROM ({sql}) AS part (line)"));
            rows.split('\u{1}').filter(|line| !line.is_empty()).map(|line| format!("{kind} {line}")).collect::<Vec<_>>()
        })
        .collect();
    lines.sort();
    lines
}

/// The lines that only one of two schemas has: `- ` those of the first, `+ ` those of the second.
pub fn differences(first: &[String], second: &[String]) -> Vec<String> {
    let only = |these: &[String], others: &[String], sign: &str| {
        these.iter().filter(|line| !others.contains(line)).map(|line| format!("{sign} {line}")).collect::<Vec<_>>()
    };
    [only(first, second, "-"), only(second, first, "+")].concat()
}

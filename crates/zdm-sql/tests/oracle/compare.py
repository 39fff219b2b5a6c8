"""Compare the reader with PostgreSQL's own grammar, as `pglast` wraps it.

    python compare.py READ ACCEPTED

READ has a line for each statement, as `read.rs` writes them. The numbers of the lines that the server's grammar accepts are
written to ACCEPTED. Other SQL than the test's: ZDM_SQL="FILE FILE" cargo test -p zdm-sql --test differential grammar.

For each statement that the server accepts: it is one statement, it is understood and of the same kind, a query's
relations are the server's, and so is each expression of a query's output and each predicate of UPDATE and DELETE.
The exit status is 1 where something differs.
"""

import collections
import json
import re
import sys

import pglast
from pglast import ast

# What the reader calls each of the server's forms. COPY of a query and EXPLAIN ANALYZE are what they run.
KINDS = {
    "AlterDomainStmt": {"AlterDomain"},
    "AlterEnumStmt": {"AlterType"},
    "AlterObjectSchemaStmt": {"AlterTable", "AlterType", "AlterDomain", "AlterOther"},
    "AlterOwnerStmt": {"AlterType", "AlterDomain", "AlterOther"},
    "AlterPolicyStmt": {"AlterPolicy"},
    "AlterPublicationStmt": {"AlterPublication", "AlterOther"},
    "AlterSeqStmt": {"AlterSequence"},
    "AlterStatsStmt": {"AlterStatisticsTarget"},
    "AlterTableMoveAllStmt": {"MoveAll"},
    "AlterTableStmt": {"AlterTable", "AlterType"},
    "AlterTypeStmt": {"AlterType"},
    "CallStmt": {"Call"},
    "CheckPointStmt": {"Checkpoint"},
    "ClusterStmt": {"Cluster"},
    "CommentStmt": {"Comment"},
    "CompositeTypeStmt": {"CreateType"},
    "ConstraintsSetStmt": {"SetConstraints"},
    "CopyStmt": {"Copy"},
    "CreateDomainStmt": {"CreateDomain"},
    "CreateEnumStmt": {"CreateType"},
    "CreateExtensionStmt": {"CreateExtension"},
    "CreateForeignTableStmt": {"CreateTable"},
    "CreateFunctionStmt": {"CreateFunction"},
    "CreatePolicyStmt": {"CreatePolicy"},
    "CreatePublicationStmt": {"CreatePublication"},
    "CreateRangeStmt": {"CreateType"},
    "CreateSchemaStmt": {"CreateSchema"},
    "CreateSeqStmt": {"CreateSequence"},
    "CreateStatsStmt": {"CreateStatistics"},
    "CreateStmt": {"CreateTable"},
    "CreateTableAsStmt": {"CreateTableAs", "CreateView"},
    "CreateTrigStmt": {"CreateTrigger"},
    "DefineStmt": {"CreateOther", "CreateType"},
    "DeleteStmt": {"Delete"},
    "DoStmt": {"Do"},
    "DropOwnedStmt": {"DropOwned"},
    "GrantRoleStmt": {"Grant"},
    "GrantStmt": {"Grant"},
    "ImportForeignSchemaStmt": {"ImportForeignSchema"},
    "IndexStmt": {"CreateIndex"},
    "InsertStmt": {"Insert"},
    "LockStmt": {"Lock"},
    "MergeStmt": {"Merge"},
    "RefreshMatViewStmt": {"RefreshMaterializedView"},
    "ReindexStmt": {"Reindex"},
    "RenameStmt": {"AlterTable", "AlterType", "AlterDomain", "AlterOnTable", "AlterOther"},
    "RuleStmt": {"CreateRule"},
    "SecLabelStmt": {"SecurityLabel"},
    "SelectStmt": {"Select", "CreateTableAs"},
    "TransactionStmt": {"Begin", "Commit", "Rollback", "RollbackToSavepoint", "Savepoint", "ReleaseSavepoint", "Session"},
    "TruncateStmt": {"Truncate"},
    "UpdateStmt": {"Update"},
    "VacuumStmt": {"Vacuum", "Analyze"},
    "VariableSetStmt": {"Set", "Reset"},
    "ViewStmt": {"CreateView"},
}


def kind_agrees(form, kind):
    if form in KINDS:
        return kind in KINDS[form]
    if form == "ExplainStmt":
        return True
    prefixes = {"Alter": "AlterOther", "Reassign": "ReassignOwned", "Create": "CreateOther", "Drop": "Drop"}
    return next((kind == expected for prefix, expected in prefixes.items() if form.startswith(prefix)), kind == "Session")


# Statements that the grammar accepts and the server then refuses, whatever the database holds.
REFUSED_LATER = [
    r"create domain .*\b(references|unique|primary key|generated|no inherit|deferrable|enforced)\b",
    r"create statistics .* from (\S+ \S|.*,|\(|[\w.]+\()",
    r"create sequence .* owned by \w+$",
    r"with recursive .*\( *with .*\b(insert|update|delete)\b",
]

PRINTED_TYPES = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "char": '"char"',
}

OTHER = "(other)"


def joined(schema, name):
    return f"{schema}.{name}" if schema and schema != "public" else name


def relations(node, hidden, found):
    """The relations that a query reads; names of common table expressions are `hidden`."""
    if isinstance(node, (tuple, list)):
        for item in node:
            relations(item, hidden, found)
    elif isinstance(node, ast.RangeVar):
        if node.schemaname or node.relname not in hidden:
            found.add(joined(node.schemaname, node.relname))
    elif isinstance(node, ast.Node):
        skipped = {"intoClause", "lockingClause"}
        if isinstance(node, (ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)):
            skipped.add("relation")
        clause = getattr(node, "withClause", None)
        if clause:
            skipped.add("withClause")
            hidden = set(hidden)
            if clause.recursive:
                hidden |= {item.ctename for item in clause.ctes}
            for item in clause.ctes:
                relations(item.ctequery, hidden, found)
                hidden.add(item.ctename)
        for field in node:
            if field not in skipped:
                relations(getattr(node, field), hidden, found)


def type_name(node):
    names = [name.sval for name in node.names]
    modifiers = [str(getattr(m.val, "ival", "?")) if isinstance(m, ast.A_Const) else "?" for m in node.typmods or ()]
    schema = names[-2] if len(names) > 1 and names[-2] not in ("pg_catalog", "public") else None
    name = names[-1]
    shown = f"({','.join(modifiers)})" if modifiers else ""
    quoted = lambda text: text if re.fullmatch(r"[a-z_][a-z0-9_$]*", text) else '"' + text.replace('"', '""') + '"'
    if schema:
        text = f"{quoted(schema)}.{quoted(name)}{shown}"
    elif name in PRINTED_TYPES:
        text = PRINTED_TYPES[name]
    elif name in ("timestamp", "time"):
        text = f"{name}{shown} without time zone"
    elif name in ("timestamptz", "timetz"):
        text = f"{name[:-2]}{shown} with time zone"
    elif name == "interval":
        text = "interval"
    elif name == "numeric" and len(modifiers) == 1:
        text = f"numeric({modifiers[0]},0)"
    elif name == "bpchar":
        text = f"character{shown}" if modifiers else "bpchar"
    else:
        text = {"varchar": "character varying", "varbit": "bit varying"}.get(name, quoted(name)) + shown
    return text + ("[]" if node.arrayBounds else "")


def all_of(nodes):
    return " ".join(canonical(node) for node in nodes or ())


def operation(node):
    kind, operator = node.kind.name, node.name[-1].sval
    if kind == "AEXPR_OP":
        operands = [node.rexpr] if node.lexpr is None else [node.lexpr, node.rexpr]
        return f"({operator} {all_of(operands)})"
    if kind in ("AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"):
        return f"({'not-' if 'NOT' in kind else ''}distinct {all_of([node.lexpr, node.rexpr])})"
    if kind == "AEXPR_NULLIF":
        return f"(call nullif {all_of([node.lexpr, node.rexpr])})"
    if kind == "AEXPR_IN":
        return f"({'not-' if operator == '<>' else ''}in {canonical(node.lexpr)} {all_of(node.rexpr)})"
    if kind in ("AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN"):
        return f"({'not-' if 'NOT' in kind else ''}between {canonical(node.lexpr)} {all_of(node.rexpr)})"
    if kind in ("AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR"):
        pattern = node.rexpr
        if isinstance(pattern, ast.FuncCall) and pattern.funcname[-1].sval in ("like_escape", "similar_to_escape"):
            if len(pattern.args) > 1:
                return OTHER
            pattern = pattern.args[0]
        word = {"AEXPR_LIKE": "LIKE", "AEXPR_ILIKE": "ILIKE", "AEXPR_SIMILAR": "SIMILAR TO"}[kind]
        return f"({'not-' if operator.startswith('!') else ''}{word} {canonical(node.lexpr)} {canonical(pattern)})"
    return OTHER


def call(node):
    if node.agg_order or node.agg_filter or node.over or node.agg_distinct or node.agg_within_group:
        return OTHER
    names = [name.sval for name in node.funcname]
    function = ".".join((names[1:] if names[0] == "pg_catalog" else names)[-2:])
    args = [OTHER if isinstance(arg, ast.NamedArgExpr) else canonical(arg) for arg in node.args or ()]
    if node.func_variadic:
        args[-1] = OTHER
    if node.agg_star:
        args = [OTHER]
    # AT TIME ZONE and IS NORMALIZED are calls in the server's own catalog.
    if function == "timezone" and names[0] == "pg_catalog":
        return f"(zone {args[1]} {args[0]})" if len(args) == 2 else OTHER
    if function == "is_normalized" and names[0] == "pg_catalog":
        return OTHER
    return f"(call {function} {' '.join(args)})"


def constant(node):
    if node.isnull:
        return "null"
    value = node.val
    if isinstance(value, ast.Integer):
        return str(value.ival) if value.ival >= 0 else f"(- {-value.ival})"
    if isinstance(value, ast.Float):
        return f"(- {value.fval[1:]})" if value.fval.startswith("-") else value.fval
    if isinstance(value, ast.Boolean):
        return "true" if value.boolval else "false"
    return json.dumps(value.sval, ensure_ascii=False) if isinstance(value, ast.String) else OTHER


def flat(node):
    for item in node.args:
        if isinstance(item, ast.BoolExpr) and item.boolop == node.boolop:
            yield from flat(item)
        else:
            yield item


def canonical(node):
    """The server's tree in the notation of `read.rs`."""
    if node is None:
        return "-"
    if isinstance(node, ast.A_Const):
        return constant(node)
    if isinstance(node, ast.ColumnRef):
        plain = all(isinstance(field, ast.String) for field in node.fields)
        return ".".join(field.sval for field in node.fields[-2:]) if plain else OTHER
    if isinstance(node, ast.TypeCast):
        return f"(cast {canonical(node.arg)} {type_name(node.typeName)})"
    if isinstance(node, ast.BoolExpr):
        word = {0: "and", 1: "or", 2: "not"}[int(node.boolop)]
        inner = canonical(node.args[0]) if word == "not" else all_of(flat(node))
        # Tests that the reader keeps as a whole with their NOT.
        return OTHER if word == "not" and isinstance(node.args[0], (ast.JsonIsPredicate, ast.XmlExpr)) else f"({word} {inner})"
    if isinstance(node, ast.NullTest):
        return f"({'not-' if int(node.nulltesttype) else ''}null? {canonical(node.arg)})"
    if isinstance(node, ast.BooleanTest):
        kind = int(node.booltesttype)
        value = ["Some(true)", "Some(false)", "None"][kind // 2]
        return f"({'not-' if kind % 2 else ''}is {canonical(node.arg)} {value})"
    if isinstance(node, ast.A_Expr):
        return operation(node)
    if isinstance(node, ast.FuncCall):
        return call(node)
    if isinstance(node, ast.CoalesceExpr):
        return f"(call coalesce {all_of(node.args)})"
    if isinstance(node, ast.MinMaxExpr):
        return f"(call {'least' if int(node.op) else 'greatest'} {all_of(node.args)})"
    if isinstance(node, ast.GroupingFunc):
        return f"(call grouping {all_of(node.args)})"
    if isinstance(node, ast.SQLValueFunction):
        name = node.op.name.removeprefix("SVFOP_").lower()
        return f"(call {name.removesuffix('_n')} {node.typmod if name.endswith('_n') else ''})"
    if isinstance(node, ast.CaseExpr):
        branches = " ".join(f"[{canonical(branch.expr)} {canonical(branch.result)}]" for branch in node.args)
        return f"(case {canonical(node.arg)} {branches} {canonical(node.defresult)})"
    if isinstance(node, ast.A_ArrayExpr):
        return f"(array {all_of(node.elements)})"
    if isinstance(node, ast.RowExpr):
        return f"(row {all_of(node.args)})"
    if isinstance(node, ast.CollateClause):
        names = [name.sval for name in node.collname]
        return f"(collate {canonical(node.arg)} {'.'.join(names[1:] if names[0] in ('pg_catalog', 'public') else names)})"
    if isinstance(node, ast.A_Indirection):
        text = canonical(node.arg)
        for item in node.indirection:
            index = isinstance(item, ast.A_Indices) and not item.is_slice
            text = f"(at {text} {canonical(item.uidx)})" if index else OTHER
        return text
    if isinstance(node, ast.SubLink) and node.subLinkType.name in ("EXISTS_SUBLINK", "EXPR_SUBLINK"):
        return "(subquery)"
    return OTHER


def normal(text):
    """What the two notations write differently for the same thing."""
    text = re.sub(r"(?<!\\)\\u\{([0-9a-f]+)\}", lambda match: chr(int(match.group(1), 16)), text)
    text = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match.group(1), 16)), text)
    text = re.sub(r"interval( (year|month|day|hour|minute|second)( to \w+)?)?(\(\d\))?(?=[)\[])", "interval", text)
    text = re.sub(r"(?<![\w\"'.])(0[xob][0-9a-f_]+)", lambda match: str(int(match.group(1), 0)), text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=\d)_(?=\d)", "", text)
    text = re.sub(r"(?<=[ (])0+(?=\d)", "", text)
    # (a, b) OVERLAPS (c, d) is a call to the server.
    text = re.sub(r"\(OVERLAPS \(row (.*)\) \(row (.*)\)\)$", r"(call overlaps \1 \2)", text)
    return text


def main():
    counts = collections.Counter()
    differences = []
    accepted = []
    for number, line in enumerate(open(sys.argv[1], encoding="utf-8")):
        read = json.loads(line)
        text = read["text"]
        try:
            statements = pglast.parse_sql(text)
        except pglast.parser.ParseError:
            counts["refused by the server"] += 1
            continue
        counts["accepted by the server"] += 1
        accepted.append(number)
        refused_later = any(re.match(pattern, " ".join(text.split()), re.IGNORECASE) for pattern in REFUSED_LATER)
        if len(statements) != 1:
            differences.append(("boundaries", text, len(statements), 1))
            continue
        statement = statements[0].stmt
        form = type(statement).__name__
        if read["reason"]:
            if not refused_later:
                differences.append(("not understood", text, form, read["reason"]))
            counts["not understood"] += 1
            continue
        counts["understood"] += 1
        if not kind_agrees(form, read["kind"]):
            differences.append(("kind", text, form, read["kind"]))
        if read["reads"] is not None and form != "ExplainStmt" and "modifies: [" not in read["debug"].replace("modifies: []", ""):
            query = getattr(statement, "query", statement)
            expected = set()
            relations(query, set(), expected)
            if form == "ViewStmt" and re.match(r"(?i)create\s+(or\s+replace\s+)?recursive", text):
                expected.discard(joined(statement.view.schemaname, statement.view.relname))
            counts["queries"] += 1
            if expected != set(read["reads"]) and not refused_later:
                differences.append(("relations", text, sorted(expected), sorted(read["reads"])))
        for expression, ours in read["expressions"] or ():
            try:
                targets = pglast.parse_sql(f"SELECT {expression}")[0].stmt.targetList
            except pglast.parser.ParseError:
                counts["expressions refused by the server"] += 1
                continue
            counts["expressions"] += 1
            theirs = canonical(targets[0].val) if targets and len(targets) == 1 else OTHER
            # What either side keeps as a whole is not compared further.
            if OTHER not in ours and OTHER not in theirs and normal(ours) != normal(theirs):
                differences.append(("expression", expression, theirs, ours))
            counts["expressions compared to the last node"] += OTHER not in ours and OTHER not in theirs
            counts["expressions that only the server understands"] += ours == OTHER and OTHER not in theirs
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(accepted, file)
    for name, count in counts.items():
        print(f"{count:>8}  {name}")
    for what, text, theirs, ours in differences:
        print(f"\n{what}: {' '.join(text.split())[:300]}\n    server: {theirs}\n    reader: {ours}")
    print(f"\n{len(differences)} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())

"""Prints the SQL of RunSQL operations below directories, as JSON: [file and line, text] for each literal text.

    python run_sql.py DIRECTORY...
"""

import ast
import json
import pathlib
import sys


def literal(node):
    """The text of a constant, of constants that are added or joined in an f-string, else None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = literal(node.left), literal(node.right)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.JoinedStr):
        parts = [literal(part) for part in node.values]
        return None if None in parts else "".join(parts)
    return None


def texts(node, names):
    """The texts in an argument of RunSQL: one, several in a list, or pairs with parameters."""
    if isinstance(node, ast.Name):
        node = names.get(node.id, node)
    if isinstance(node, (ast.List, ast.Tuple)):
        for item in node.elts:
            yield from texts(item, names)
    else:
        text = literal(node)
        if text is not None:
            yield node.lineno, text


def main():
    found = []
    for root in sys.argv[1:]:
        for path in sorted(pathlib.Path(root).rglob("*.py")):
            source = path.read_text(encoding="utf-8", errors="replace")
            if "RunSQL" not in source:
                continue
            try:
                tree = ast.parse(source)
            except SyntaxError:
                continue
            names = {}
            for node in ast.walk(tree):
                if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                    names[node.targets[0].id] = node.value
            for node in ast.walk(tree):
                if not isinstance(node, ast.Call):
                    continue
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if called.endswith("RunSQL"):
                    arguments = node.args[:2] + [item.value for item in node.keywords if item.arg in ("sql", "reverse_sql")]
                    for argument in arguments:
                        found += [[f"{path.name}:{line}", text] for line, text in texts(argument, names)]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

"""The size and the joints of a package, counted: ``python -m tests.house [FOLDER]``.

Files, lines of code (no blank lines, comments and docstrings), the largest file and class, imports between the modules,
and accesses to an underscore of something that is not the object itself.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def lines_of_code(node: ast.AST, text: list[str]) -> int:
    docs = [each.body[0] for each in ast.walk(node) if isinstance(each, DOCUMENTED) and ast.get_docstring(each)]
    docstrings = {line for doc in docs for line in range(doc.lineno, (doc.end_lineno or 0) + 1)}
    first, last = (node.lineno, node.end_lineno or 0) if isinstance(node, ast.ClassDef) else (1, len(text))
    stripped = {i: text[i - 1].strip() for i in range(first, last + 1) if i not in docstrings}
    return sum(bool(line) and not line.startswith("#") for line in stripped.values())


def main(folder: str = "lightning_lrsched") -> None:
    root, files, classes, imports, reaches = Path(folder), {}, {}, set(), 0
    for path in sorted(root.rglob("*.py")):
        source, name = path.read_text(), path.relative_to(root).as_posix()
        tree, text = ast.parse(source), source.splitlines()
        files[name] = lines_of_code(tree, text)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                classes[node.name] = lines_of_code(node, text)
            elif isinstance(node, ast.ImportFrom) and node.level:
                imports.add((name, "." * node.level + (node.module or "")))
            elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
                own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
                of_super = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super"
                reaches += not (own or of_super or node.attr == "_replace")
    largest, longest = max(files, key=files.__getitem__), max(classes, key=classes.__getitem__)
    print(f"files {len(files)}, lines of code {sum(files.values())}")
    print(f"largest file {largest} {files[largest]}, largest class {longest} {classes[longest]}")
    print(f"imports between modules {len(imports)}, accesses to another's underscore {reaches}")


if __name__ == "__main__":
    main(*sys.argv[1:])

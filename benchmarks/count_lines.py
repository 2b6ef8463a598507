"""Lines of src/reseen by room: files, all lines, and code without docs, comments, blanks, imports.

python benchmarks/count_lines.py [FOLDER]
"""

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

NO_CODE = {
    *(tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENCODING, tokenize.ENDMARKER),
}


def code_lines(text: str) -> int:
    """Lines that hold code which is neither a lone string nor an import."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        lone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if lone or isinstance(node, ast.Import | ast.ImportFrom):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def main() -> None:
    """Print a line for each room, and the sums."""
    package = Path(sys.argv[1] if len(sys.argv) > 1 else "src/reseen")
    files, lines, code = Counter[str](), Counter[str](), Counter[str]()
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        inside = path.relative_to(package).parts
        for room in (inside[0] if len(inside) > 1 else "beside the rooms", "all"):
            files[room] += 1
            lines[room] += text.count("\n")
            code[room] += code_lines(text)
    for room in sorted(files, key=lambda room: (room == "all", room)):
        print(f"{room:16} {files[room]:4} files {lines[room]:6,} lines {code[room]:6,} of code")


if __name__ == "__main__":
    main()

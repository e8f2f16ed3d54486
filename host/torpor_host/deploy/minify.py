# SPDX-License-Identifier: MIT
"""Python source without what a board does not need: docstrings, comments, annotations, blank space.

For CircuitPython, whose bytecode compiler no package registry carries: its boards compile the source at
each import, so each byte less is time and energy on each wake.

The tokens that stay are the author's own. Writing a syntax tree out anew would not do: `ast.unparse` makes
`a, b = b, a` into `a, b = (b, a)`, which allocates a tuple on MicroPython where the first does not.
"""

import ast
import io
import tokenize

_Cut = tuple[int, int, bytes]  # from, to (byte offsets), what comes in its place
_FSTRING_START = getattr(tokenize, "FSTRING_START", -1)  # since 3.12 an f-string is many tokens
_FSTRING_END = getattr(tokenize, "FSTRING_END", -1)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_UNSEEN = {tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER}


def minify(source: str, name: str = "<source>") -> str:
    """Return shorter source that compiles to the same bytecode; "" when nothing is left.

    Names stay, since tracebacks and other modules use them. Raises SyntaxError naming `name`.
    """
    data = source.encode()
    for start, end, instead in sorted(_cuts(ast.parse(source, name), data), reverse=True):
        data = data[:start] + instead + data[end:]
    return "".join(_lines(data.decode()))


def _cuts(tree: ast.Module, data: bytes) -> list[_Cut]:
    """Return where docstrings and annotations lie; none overlaps another."""
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def start(node: ast.expr | ast.stmt | ast.arg) -> int:
        return starts[node.lineno - 1] + node.col_offset

    def end(node: ast.expr | ast.stmt) -> int:
        return starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)

    cuts: list[_Cut] = []
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            doc = node.body[0]
            alone = len(node.body) == 1 and not isinstance(node, ast.Module)
            followed = data[end(doc) :].lstrip(b" ").startswith(b";")
            cuts.append((start(doc), end(doc), b"pass" if alone or followed else b""))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
            cuts.append((data.rindex(b"->", 0, start(node.returns)), end(node.returns), b""))
        if isinstance(node, ast.arg) and node.annotation:
            cuts.append((start(node) + len(node.arg.encode()), end(node.annotation), b""))
        if isinstance(node, ast.AnnAssign) and node.value:
            # one without a value stays: inside a function it makes the name local
            cuts.append((end(node.target), end(node.annotation), b""))
    return cuts


def _lines(source: str) -> list[str]:
    """Return the logical lines, indented by one space a level, with space only where tokens would merge."""
    out: list[str] = []
    line, last, level, opened = "", None, 0, 0
    text = source.splitlines(keepends=True)
    begin = (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == _FSTRING_START:
            opened += 1
            if opened == 1:
                begin = token.start
            continue
        if opened:
            if token.type == _FSTRING_END:
                opened -= 1
            if opened:
                continue
            token = token._replace(type=tokenize.STRING, string=_between(text, begin, token.end))  # noqa: PLW2901
        if token.type == tokenize.INDENT:
            level += 1
        elif token.type == tokenize.DEDENT:
            level -= 1
        elif token.type == tokenize.NEWLINE:
            if line:
                out.append(" " * level + line + "\n")
            line, last = "", None
        elif token.type not in _UNSEEN:
            line += (" " if last and _must_part(last, token) else "") + token.string
            last = token
    return out


def _must_part(left: tokenize.TokenInfo, right: tokenize.TokenInfo) -> bool:
    words = (tokenize.NAME, tokenize.NUMBER, tokenize.STRING)
    if left.type == tokenize.NUMBER and right.string[0] == ".":
        return True
    return left.type in words and right.type in words


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    part = lines[start[0] - 1 : end[0]]
    part[-1] = part[-1][: end[1]]
    part[0] = part[0][start[1] :]
    return "".join(part)

# SPDX-License-Identifier: MIT
"""Python source without what a board does not need: docstrings, comments, annotations, blank lines.

For CircuitPython, whose bytecode compiler no package registry carries: its boards compile the source at
each import, so each byte less is time and energy on each wake.
"""

import ast
import re

_INDENT = re.compile(r"^(?: {4})+", re.MULTILINE)


class _Strip(ast.NodeTransformer):
    def _body(self, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        if ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
        self.generic_visit(node)
        if not node.body and not isinstance(node, ast.Module):
            node.body.append(ast.Pass())
        return node

    visit_Module = visit_ClassDef = _body

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self._body(node)

    visit_FunctionDef = visit_AsyncFunctionDef = _function

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return node  # inside a function it makes the name local: dropping it could change what runs
        return self.generic_visit(ast.copy_location(ast.Assign([node.target], node.value), node))


def minify(source: str, name: str = "<source>") -> str:
    """Return source that behaves as `source` does and is as short as this gets it; "" when nothing is left.

    Names stay, since tracebacks and other modules use them. Raises SyntaxError naming `name`.
    """
    tree = ast.fix_missing_locations(_Strip().visit(ast.parse(source, name)))
    text = ast.unparse(tree)
    strings = (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    # a statement is one line by now, unless a string that spans lines was kept: then indents may be text
    if not any("\n" in s for s in strings):
        text = _INDENT.sub(lambda m: " " * (len(m[0]) // 4), text)
    return text + "\n" if text else ""

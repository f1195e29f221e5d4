"""The house rules that no linter knows, as functions from source text to findings; `test_house_rules.py` applies them.

A finding is `line: what is wrong`, ready to be printed behind a file name.
"""

import ast
import inspect
import re
import string
from collections.abc import Iterator

import dash_ag_grid
import dash_bootstrap_components
from dash import dcc, html

Finding = str

#: What Dash's modules are called where they are imported.
COMPONENT_MODULES = {"html": html, "dcc": dcc, "dbc": dash_bootstrap_components, "dag": dash_ag_grid}
TRANSLATORS = {"_", "lazy", "gettext", "ngettext", "pgettext"}
#: Keyword arguments and dictionary keys whose value a reader sees.
TEXT_KEYS = {
    *("alt", "aria-label", "aria_label", "button_text", "caption", "children", "confirm_text", "description", "empty"),
    *(
        "header",
        "headerName",
        "headerTooltip",
        "help",
        "hint",
        "label",
        "message",
        "placeholder",
        "subtitle",
        "summary",
    ),
    *("text", "title", "tooltip"),
}
#: Components whose content is no language: code, keys, formulas.
LITERAL_COMPONENTS = {"Code", "Kbd", "Pre", "Samp"}
#: The own names of languages and units, the product's name, and what stands for itself.
SAME_IN_ALL_LANGUAGES = {
    "NebuloViz",
    "CSV",
    "XLSX",
    "PNG",
    "UTC",
    "API",
    "JSON",
    "Kafka",
    "PostgreSQL",
    "Redis",
    "SQLite",
}

_WORD = re.compile(r"[^\W\d_]{2,}")
_TAG = re.compile(r"<[^>]*>")
_URL = re.compile(r"""(?:https?:|wss?:|["'(])//(\[?[\w.:-]+)""", re.IGNORECASE)
_OWN_HOSTS = re.compile(r"^(localhost|127\.0\.0\.1|\[::1|www\.w3\.org$)")  # w3.org: XML namespaces, which nothing loads


def database_commits(source: str) -> list[Finding]:
    """Calls of `commit()`; that of a Kafka consumer or a source of sales is another thing."""
    return [
        f"{call.lineno}: commit() belongs to db.py"
        for call in _calls(ast.parse(source))
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "commit"
        and not _last_name(call.func.value).lower().endswith(("consumer", "source"))
    ]


def naive_times(source: str) -> list[Finding]:
    """Clock readings without a zone, in the standard library's spelling and in pandas'."""
    naive = []
    for call in _calls(ast.parse(source)):
        function = call.func
        if not isinstance(function, ast.Attribute) or _last_name(function.value) not in {
            "datetime",
            "date",
            "Timestamp",
        }:
            continue
        zoneless = not call.args and not call.keywords
        if function.attr in {"utcnow", "utcfromtimestamp", "today"} or (function.attr == "now" and zoneless):
            naive.append(f"{call.lineno}: {function.attr}() without a time zone")
    return naive


def other_hosts(text: str) -> list[Finding]:
    """URLs of other hosts in a style sheet, script or markup."""
    return [
        f"{number}: loads from {host}"
        for number, line in enumerate(text.splitlines(), 1)
        for host in _URL.findall(line)
        if not _OWN_HOSTS.match(host)
    ]


def other_hosts_in_python(source: str) -> list[Finding]:
    """The same in Python's string literals (docstrings may cite), and the CDN themes and icons of dbc."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    findings = [
        f"{node.lineno}: {finding.split(': ', 1)[1]}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
        for finding in other_hosts(f'"{node.value}"')
    ]
    cdn = [
        f"{node.lineno}: dbc.{node.attr} are addresses of a CDN"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"themes", "icons"} and _last_name(node.value) == "dbc"
    ]
    return findings + cdn


def untranslated_texts(source: str) -> list[Finding]:
    """Literals that a reader would see in English whatever the language: not wrapped in `_()` or `lazy()`."""
    tree = ast.parse(source)
    own_components = _imported_components(tree)
    found: dict[int, str] = {}
    for node in ast.walk(tree):
        for literal in [*_shown_by_call(node, own_components), *_shown_by_dict(node)]:
            found[id(literal)] = f"{literal.lineno}: untranslated {ast.unparse(literal)[:60]}"
    return list(dict.fromkeys(found.values()))


def texts_in_f_strings(source: str) -> list[Finding]:
    """Texts marked for translation within an f-string, where whoever collects them does not look: they would stay English."""
    return [
        f"{call.lineno}: marked within an f-string {ast.unparse(call)[:60]}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.JoinedStr)
        for call in _calls(node)
        if _last_name(call.func) in TRANSLATORS
    ]


def _shown_by_call(node: ast.AST, own_components: set[str]) -> Iterator[ast.expr]:
    if not isinstance(node, ast.Call):
        return
    name = _last_name(node.func)
    if name in TRANSLATORS | LITERAL_COMPONENTS:
        return
    shown = [keyword.value for keyword in node.keywords if keyword.arg in TEXT_KEYS]
    if _is_dash_component(node.func) and node.args and _takes_children_first(node.func):
        shown.append(node.args[0])
    elif name in own_components:
        for argument in node.args:
            yield from (text for text in _literals(argument) if _starts_a_sentence(text))
    for value in shown:
        yield from _literals(value)


def _shown_by_dict(node: ast.AST) -> Iterator[ast.expr]:
    if not isinstance(node, ast.Dict):
        return
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and key.value in TEXT_KEYS:
            yield from (text for text in _literals(value) if _starts_a_sentence(text))


def _literals(node: ast.expr) -> Iterator[ast.expr]:
    """The string literals with words that `node` may evaluate to, or that stand in the list it is."""
    match node:
        case ast.Constant(value=str(text)) if _has_words(text) and text not in SAME_IN_ALL_LANGUAGES:
            yield node
        case ast.JoinedStr(values=parts):
            if _has_words("".join(str(part.value) if isinstance(part, ast.Constant) else "0" for part in parts)):
                yield node
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.BoolOp(values=parts):
            for part in parts:
                yield from _literals(part)
        case ast.IfExp(body=one, orelse=other) | ast.BinOp(left=one, right=other):
            yield from _literals(one)
            yield from _literals(other)
        case _:
            pass


def _has_words(text: str) -> bool:
    """Whether words are left without tags; a colour is none, nor is a path."""
    return not text.startswith(("#", "/")) and _WORD.search(_TAG.sub("", text)) is not None


def _starts_a_sentence(node: ast.expr) -> bool:
    """Tells `"Revenue by day"` from an id, a class or a path."""
    return not isinstance(node, ast.Constant) or str(node.value)[:1].isupper()


def _is_dash_component(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id in COMPONENT_MODULES
        and hasattr(COMPONENT_MODULES[function.value.id], function.attr)
    )


def _takes_children_first(function: ast.expr) -> bool:
    assert isinstance(function, ast.Attribute)
    assert isinstance(function.value, ast.Name)
    component = getattr(COMPONENT_MODULES[function.value.id], function.attr)
    return inspect.isclass(component) and list(inspect.signature(component.__init__).parameters)[1:2] == ["children"]


def _imported_components(tree: ast.Module) -> set[str]:
    """Names of the project's own components in this module."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nebuloviz.web.components")
        for alias in node.names
    }


def placeholders(text: str) -> set[str]:
    """The names in braces that a text is filled with."""
    return {name for _text, name, _spec, _conversion in string.Formatter().parse(text) if name is not None}


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _last_name(node: ast.expr) -> str:
    """`c` of `a.b.c`; empty for what has no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""

"""Rules of the house that no linter knows. Each rule is first tried on text that breaks it, then on the project."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from nebuloviz import settings
from nebuloviz.i18n.__main__ import extract
from nebuloviz.i18n.text import DEFAULT_LANGUAGE, TRANSLATIONS
from tests import house_rules
from tests.house_rules import Finding, placeholders

ROOT = Path(__file__).parents[1]
LANGUAGES = sorted(set(settings.SUPPORTED_LANGUAGES) - {DEFAULT_LANGUAGE})


def files(*patterns: str) -> list[Path]:
    """The project's files that match, at least one a pattern: a rule must not pass because its subject has moved."""
    found = {pattern: sorted(ROOT.glob(pattern)) for pattern in patterns}
    assert all(found.values()), f"nothing matches {[pattern for pattern, paths in found.items() if not paths]}"
    return [path for paths in found.values() for path in paths]


def check(rule: Callable[[str], list[Finding]], paths: list[Path]) -> None:
    """Fail with all that the rule finds, behind the name of the file."""
    found = [
        f"{path.relative_to(ROOT)}:{finding}" for path in paths for finding in rule(path.read_text(encoding="utf-8"))
    ]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


class TestCommits:
    @pytest.mark.parametrize(
        ("source", "count"),
        [
            ("session.commit()", 1),
            ("self.session.commit()", 1),
            ("await session.commit()", 1),
            ("with transaction() as session: ...", 0),
            ("self._consumer.commit(offsets, timeout_ms=500)", 0),
            ("self._source.commit(offsets)", 0),
            ("connection.execute(commit)", 0),
        ],
    )
    def test_are_found(self, source: str, count: int) -> None:
        assert len(house_rules.database_commits(source)) == count

    def test_happen_in_db_only(self) -> None:
        paths = files("nebuloviz/**/*.py", "pages/*.py", "app.py")
        check(house_rules.database_commits, [path for path in paths if path != ROOT / "nebuloviz/db.py"])


def test_pages_write_through_one_door() -> None:
    """So that nothing is changed while an administrator looks through a user's eyes. The others are sign-ins and their ends."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in files("pages/*.py", "nebuloviz/web/**/*.py")
        if ".transaction()" in path.read_text(encoding="utf-8")
    }
    assert found <= {f"nebuloviz/web/{name}.py" for name in ("context", "login", "sessions", "viewing")}


class TestTimes:
    @pytest.mark.parametrize(
        ("source", "count"),
        [
            ("datetime.now()", 1),
            ("datetime.datetime.now()", 1),
            ("datetime.utcnow()", 1),
            ("date.today()", 1),
            ("pd.Timestamp.now()", 1),
            ("datetime.now(UTC)", 0),
            ("datetime.now(tz=zone)", 0),
            ("clock.now()", 0),
        ],
    )
    def test_without_a_zone_are_found(self, source: str, count: int) -> None:
        assert len(house_rules.naive_times(source)) == count

    def test_always_have_a_zone(self) -> None:
        paths = files("*.py", "nebuloviz/**/*.py", "pages/*.py", "migrations/**/*.py", "benchmarks/**/*.py")
        check(house_rules.naive_times, paths)


class TestOtherHosts:
    @pytest.mark.parametrize(
        ("text", "count"),
        [
            ("@import url(https://fonts.example.com/a.css);", 1),
            ("@import url(//fonts.example.com/a.css);", 1),
            ("fetch('https://cdn.example.com/x.js')", 1),
            ("new WebSocket('wss://push.example.com')", 1),
            ('<svg xmlns="http://www.w3.org/2000/svg">', 0),
            ("fetch('/_dash-layout'); // as dash.py does", 0),
            ("open('http://127.0.0.1:8050/')", 0),
        ],
    )
    def test_are_found_in_assets(self, text: str, count: int) -> None:
        assert len(house_rules.other_hosts(text)) == count

    @pytest.mark.parametrize(
        ("source", "count"),
        [
            ("html.Img(src='https://example.com/a.png')", 1),
            ("script = '//cdn.example.com/x.js'", 1),
            ("url = f'https://example.com/{name}'", 1),
            ("Dash(external_stylesheets=[dbc.themes.FLATLY])", 1),
            ('"""The formula is from https://example.com/paper."""', 0),
            ("html.Img(src='/assets/a.png')", 0),
        ],
    )
    def test_are_found_in_python(self, source: str, count: int) -> None:
        assert len(house_rules.other_hosts_in_python(source)) == count

    def test_serve_nothing_to_the_browser(self) -> None:
        check(house_rules.other_hosts, files("assets/*.css", "assets/*.js"))
        check(house_rules.other_hosts_in_python, files("nebuloviz/web/**/*.py", "pages/*.py", "app.py"))


class TestTexts:
    @pytest.mark.parametrize(
        ("source", "count"),
        [
            ("html.P('Nothing here')", 1),
            ("html.Div([html.B('Revenue'), ' per day'])", 2),
            ("html.P(f'{n} alerts')", 1),
            ("html.P('none' if n == 0 else _('some'))", 1),
            ("dcc.Input(placeholder='Search')", 1),
            ("dbc.Button('Save', id='settings-save')", 1),
            ("html.Div(**{'aria-label': 'Filters'})", 1),
            ("dcc.Dropdown(options=[{'label': 'Revenue', 'value': 'revenue'}])", 1),
            ("from nebuloviz.web.components import card\ncard('Revenue', body)", 1),
            ("html.P(_('Nothing here'))", 0),
            ("html.P([_('Revenue'), ': ', figure])", 0),
            ("html.P(f'{a} / {b}')", 0),
            ("html.A(f'/export/{kind}')", 0),
            ("html.P(f'<b style=\"color:{c}\">{text}</b>')", 0),
            ("dict(title={'title': '#e7e9ef'})", 0),
            ("object.__setattr__(self, 'title', title)", 0),
            ("html.Code('python -m nebuloviz')", 0),
            ("html.Div(id='alerts-list', className='nv-card wide')", 0),
            ("dcc.Store('explore-state')", 0),
            ("Output('alerts-list', 'children')", 0),
            ("from nebuloviz.web.components import icon\nicon('arrow-up')", 0),
            ("html.B('NebuloViz')", 0),
        ],
    )
    def test_without_translation_are_found(self, source: str, count: int) -> None:
        assert len(house_rules.untranslated_texts(source)) == count

    @pytest.mark.parametrize(
        ("source", "count"),
        [("f'{_(\"All\")}: {n}'", 1), ("f'{a}' + _('All')", 0), ("_('All') + f': {number(n)}'", 0)],
    )
    def test_within_f_strings_are_found(self, source: str, count: int) -> None:
        assert len(house_rules.texts_in_f_strings(source)) == count

    def test_are_never_marked_within_f_strings(self) -> None:
        check(house_rules.texts_in_f_strings, files("pages/*.py", "nebuloviz/**/*.py"))

    def test_are_all_marked_for_translation(self) -> None:
        check(house_rules.untranslated_texts, files("pages/*.py", "nebuloviz/web/**/*.py"))


@pytest.fixture(scope="module")
def texts() -> Catalog:
    """Every text of the program, in English."""
    return extract(ROOT)


def catalog(language: str) -> Catalog:
    with (TRANSLATIONS / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def forms(text: str | Sequence[str] | None) -> list[str]:
    """All forms of a text: one, or as many as its language has plurals."""
    return [text] if isinstance(text, str) else list(text or ())


def problems(original: Message, translation: Message | None) -> Iterator[str]:
    """What is wrong with a translation: missing, doubtful, or not filled by the same values."""
    if translation is None or not translation.string or not all(forms(translation.string)):
        yield "missing"
        return
    if translation.fuzzy:
        yield "fuzzy"
    wanted = set().union(*map(placeholders, forms(original.id)))
    for form in forms(translation.string):
        # A plural form may leave out the number ("one sale"), and nothing else
        optional = {"n", "count", "number"} if original.pluralizable else set()
        if not wanted - optional <= placeholders(form) <= wanted:
            yield f"placeholders of {form!r}"


@pytest.mark.parametrize("language", LANGUAGES)
class TestTranslations:
    def test_are_complete(self, language: str, texts: Catalog) -> None:
        translated = catalog(language)
        assert len(texts) > 0
        found = [
            f"{original.id!r}: {problem}"
            for original in texts
            if original.id
            for problem in problems(original, translated.get(forms(original.id)[0], original.context))
        ]
        assert not found, "\n".join(found)

    def test_have_every_plural_form_of_the_language(self, language: str) -> None:
        translated = catalog(language)
        assert not [
            message.id
            for message in translated
            if message.pluralizable and len(forms(message.string)) != translated.num_plurals
        ]

    def test_hold_no_text_that_the_program_has_lost(self, language: str, texts: Catalog) -> None:
        current = {(forms(message.id)[0], message.context) for message in texts if message.id}
        kept = {(forms(message.id)[0], message.context) for message in catalog(language) if message.id}
        assert kept - current == set()


class TestSettings:
    def test_page_is_what_the_program_says(self) -> None:
        page = ROOT / "docs" / "settings.md"
        assert page.read_text(encoding="utf-8") == settings.markdown(), (
            "python -m nebuloviz.settings > docs/settings.md"
        )

    @pytest.mark.parametrize("name", sorted(settings.Settings.model_fields))
    def test_each_is_explained_with_default_and_unit(self, name: str) -> None:
        field = settings.Settings.model_fields[name]
        (row,) = [line for line in settings.markdown().splitlines() if f"`{settings.PREFIX}{name.upper()}`" in line]
        _, _variable, default, meaning, _ = row.split("|")
        assert len(meaning) > 20
        assert default.strip() or field.default in {None, ""}
        if field.annotation in {int, float}:
            unit = r"seconds|minutes|hours|days|megabytes|a week|connections|proxies|records|rejections|most|port|0 = Monday"
            assert re.search(unit, f"{name.replace('_', ' ')} {meaning}", re.IGNORECASE), "which unit?"


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_every_requirement_is_pinned(name: str) -> None:
    wanted = re.findall(r"^[\w-]+", (ROOT / f"{name}.in").read_text(), re.MULTILINE)
    pinned = re.findall(r"^([\w-]+)(?:\[[\w,]+\])?==", (ROOT / f"{name}.txt").read_text(), re.MULTILINE)
    assert pinned
    assert {w.lower().replace("_", "-") for w in wanted if not w.startswith("-")} <= set(pinned)


class TestDocuments:
    def test_links_lead_somewhere(self) -> None:
        dead = [
            f"{page.relative_to(ROOT)}: {target}"
            for page in files("*.md", "docs/**/*.md")
            for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
            if not (page.parent / target).exists()
        ]
        assert not dead

    def test_architecture_names_files_that_there_are(self) -> None:
        page = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
        there = [path.as_posix() for path in files("*.py", "pages/*.py", "tests/*.py", "nebuloviz/**/*.py")]
        named = re.findall(r"`([\w/]+\.py)`", page)
        assert named
        assert [name for name in named if not any(path.endswith(f"/{name}") for path in there)] == []

    def test_readme_needs_two_commands(self) -> None:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
        lines = [line.removeprefix("$ ").split("#")[0].strip() for block in blocks for line in block.splitlines()]
        commands = [line for line in lines if line and not line.startswith(("git clone ", "cd "))]
        assert commands == ["./nv serve", "./nv test"]

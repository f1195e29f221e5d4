import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nebuloviz import extensions
from nebuloviz.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _nothing_loaded() -> Iterator[None]:
    yield
    for name in [name for name in sys.modules if name.startswith(extensions.PACKAGE)]:
        del sys.modules[name]


def _write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


class TestLoading:
    def test_imports_files_in_the_order_of_their_names_and_each_once(self, tmp_path: Path) -> None:
        note = "from nebuloviz_extensions._noted import NAMES\nNAMES.append(__name__)\n"
        _write(tmp_path, b=note, a=note, _noted="NAMES = []")
        assert extensions.load(tmp_path) == ("nebuloviz_extensions.a", "nebuloviz_extensions.b")
        extensions.load(tmp_path)
        noted = sys.modules["nebuloviz_extensions._noted"].NAMES
        assert noted == ["nebuloviz_extensions.a", "nebuloviz_extensions.b"]

    def test_leaves_files_with_an_underscore_to_those_that_import_them(self, tmp_path: Path) -> None:
        _write(tmp_path, _shared="VALUE = 7", user="from nebuloviz_extensions._shared import VALUE")
        assert extensions.load(tmp_path) == ("nebuloviz_extensions.user",)
        assert sys.modules["nebuloviz_extensions.user"].VALUE == 7

    def test_makes_classes_that_can_be_pickled(self, tmp_path: Path) -> None:
        extensions.load(_write(tmp_path, shapes="class Round:\n    pass"))
        made = sys.modules["nebuloviz_extensions.shapes"].Round()
        assert type(pickle.loads(pickle.dumps(made))) is type(made)  # noqa: S301 - our own bytes

    def test_without_a_folder_does_nothing(self) -> None:
        assert extensions.load(None) == ()


class TestAFileThatFails:
    @pytest.mark.parametrize(
        ("text", "line", "words"),
        [
            ("x = 1\nx = = 2\n", 2, "SyntaxError: invalid syntax"),
            ("import no_such_module_anywhere\n", 1, "No module named 'no_such_module_anywhere'"),
            ("def f():\n    return 1 / 0\n\nf()\n", 2, "ZeroDivisionError: division by zero"),
            (
                "from nebuloviz.metrics.registry import METRICS, add_metric\n\nadd_metric(METRICS[0])\n",
                3,
                "There is a metric 'revenue' already",
            ),
        ],
    )
    def test_is_named_with_its_line_and_its_reason(self, tmp_path: Path, text: str, line: int, words: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            extensions.load(_write(tmp_path, broken=text))
        assert f"{tmp_path / 'broken.py'}, line {line}," in caught.value.message
        assert words in caught.value.message

    def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="nowhere, which is no folder"):
            extensions.load(tmp_path / "nowhere")

"""What fits an entry of the settings, and what does not."""

from pathlib import Path
from typing import Any

import pytest

from nebuloviz.errors import InvalidInput
from nebuloviz.services.interfaces.installation import ENTRIES, SHARED, markdown
from nebuloviz.settings import Settings
from tests.services.pictures import encoded, png


class TestChecking:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *(("name", bad) for bad in ("", "  ", "x" * 61, "a\nb", "a\x00", "a\u202eb", 1, None, ["a"])),
            *(
                ("public_address", bad)
                for bad in ("sales", "ftp://a.b", "https://a.b/c", "https://u@a.b", "https://", "https://a b")
            ),
            *(
                ("public_address", bad)
                for bad in ("https://a.b?x", "https://a.b:x", "javascript:alert(1)", "https://a\\b")
            ),
            *(("languages", bad) for bad in ([], ["xx"], "en", [1], {"en": 1})),
            ("language", "xx"),
            *(("time_zone", bad) for bad in ("Mars/Base", "../etc/passwd", "", 1)),
            *(("currency", bad) for bad in ("usd", "XXXX", "$")),
            *(("week_start", bad) for bad in (-1, 7, True, 1.0, "1")),
            *(("fiscal_year_start", bad) for bad in (0, 13)),
            *(("require_second_factor", bad) for bad in (1, "true", None)),
            *(("requests_per_minute", bad) for bad in (-1, 2_000_000, 1.5, float("nan"), float("inf"), True, 10**400)),
            *(("false_alerts_per_week", bad) for bad in (0, 101, float("nan"), "1")),
            *(("smtp_host", bad) for bad in ("a b", "a/b", "-a", "a\r\nb", "http://a")),
            *(("smtp_from", bad) for bad in ("a", "a@b@c", "a@b\r\nBcc: c@d", "A <a@b>", "a,b@c")),
            ("smtp_encryption", "ssl3"),
            ("smtp_password", "a\r\nb"),
            ("smtp_password", "x" * 501),
            ("detector", "none"),
            ("logo", "<svg/>"),
            *(
                ("logo", encoded(bad))
                for bad in (
                    b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
                    b"GIF89a",
                    png()[:-1],
                    png()[:40],
                    png(extra=b"<script>"),
                    png(2000, 10),
                    png().replace(b"IDAT", b"IDAX"),
                    b"\x89PNG\r\n\x1a\n",
                )
            ),
            ("logo", "A" * 300_000),
        ],
        ids=repr,
    )
    def test_refuses_what_does_not_fit(self, name: str, value: Any) -> None:
        with pytest.raises(InvalidInput):
            ENTRIES[name].kind.checked(value)

    @pytest.mark.parametrize(
        ("name", "value", "kept"),
        [
            ("name", "  Käse & Söhne ", "Käse & Söhne"),
            ("public_address", "https://sales.example.com:8443", "https://sales.example.com:8443"),
            ("languages", ["ar", "en"], ("en", "ar")),
            ("time_zone", "Asia/Kolkata", "Asia/Kolkata"),
            ("currency", "JPY", "JPY"),
            ("fiscal_year_start", 4, 4),
            ("requests_per_minute", 0, 0),
            ("false_alerts_per_week", 2, 2.0),
            ("logo", encoded(png()), encoded(png())),
            ("smtp_host", "mail.example.com", "mail.example.com"),
            ("smtp_host", "::1", "::1"),
            ("smtp_from", "sales@example.com", "sales@example.com"),
        ],
    )
    def test_gives_what_is_kept(self, name: str, value: Any, kept: Any) -> None:
        assert ENTRIES[name].kind.checked(value) == kept


@pytest.mark.parametrize("name", SHARED)
def test_have_the_defaults_of_the_environment(name: str) -> None:
    assert Settings.model_fields[name].default == ENTRIES[name].default


def test_are_documented_as_they_are() -> None:
    page = Path(__file__).parents[2] / "docs" / "installation.md"
    command = "python -m nebuloviz.services.interfaces.installation > docs/installation.md"
    assert page.read_text(encoding="utf-8") == markdown(), command
    assert all(f"| `{name}` |" in markdown() for name in ENTRIES)

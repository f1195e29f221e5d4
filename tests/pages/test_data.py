import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from dash import no_update
from dash.exceptions import PreventUpdate

from nebuloviz.errors import InvalidInput, Unavailable
from nebuloviz.i18n import Preferences, use
from nebuloviz.ingest.fields import guess
from nebuloviz.services.interfaces import FilePreview, Freshness, ImportView, PostResult, RowResult, StreamStatus
from nebuloviz.web.views import stream
from nebuloviz.web.views.dead_letters import readable_bytes, retried_words
from nebuloviz.web.views.imports import FIELD_WORDS, NO_COLUMN
from tests.fakes import NOW, dead_letter
from tests.pages.conftest import Browser, Drawn, Shop

PREVIEW = FilePreview(
    "shop <i>1</i>.csv",
    ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice"),
    (("536365", "85123A", "6", "2010-12-01 08:26", "2.55"),),
    {"order_id": "InvoiceNo", "product_id": "StockCode", "quantity": "Quantity", "sold_at": "InvoiceDate"},
    ("unit_price",),
)
SEEN = {"json": False, "orders": {}, "cells": {}}
YEAR_ONE = {"json": False, "orders": {}, "cells": {"InvoiceDate": "0001-01-01"}}
MAPPED = {**PREVIEW.mapping, "unit_price": "UnitPrice"}


@pytest.fixture
def page(browser: Browser) -> Any:
    """The page's module; it can be imported only once there is a dashboard."""
    from pages import data  # noqa: PLC0415 - see above

    return data


@pytest.fixture
def rejected(browser: Browser) -> Any:
    """The module of the page's rejected records, as above."""
    from pages import rejected_records  # noqa: PLC0415 - see above

    return rejected_records


def columns(mapping: dict[str, str]) -> tuple[list[Any], list[dict[str, str]]]:
    return list(mapping.values()), [{"type": "data-field", "of": field} for field in mapping]


def seen_in(form: Any) -> Any:
    """What the form keeps of the file."""
    return next(part for part in form._traverse() if getattr(part, "id", None) == "data-seen").data


class TestLayout:
    @pytest.mark.parametrize(("role", "upload", "settle"), [("admin", True, True), ("analyst", False, False)])
    def test_offers_what_the_reader_may_do(self, page: Any, drawn: Drawn, upload: bool, settle: bool) -> None:
        text = drawn(page.layout(x="1"))
        assert ("data-drop" in text) is upload
        assert ("data-retry" in text) is settle


class TestStream:
    def test_shows_pace_and_partitions(self, page: Any, drawn: Drawn) -> None:
        figures, partitions = page.stream(None, 0)
        assert "Sales per minute" in drawn(figures)
        assert "1,190" in drawn(partitions)

    def test_the_chart_has_accepted_duplicate_and_rejected(self, page: Any) -> None:
        figure = page.pace("", "dark", None)["figure"]
        assert [trace.name for trace in figure.data] == ["Accepted", "Duplicate", "Rejected"]
        assert sum(figure.data[2].y) == 1

    def test_a_failure_keeps_the_old_figures(self, page: Any, shop: Shop) -> None:
        shop.ingest.failure = Unavailable("The database does not answer.")
        assert page.pace("", "light", None)["figure"] is no_update
        assert page.stream(None, 0)[1] is no_update


def clicked(kind: str, *, skips: bool) -> str:
    return f'{{"offset":1200,"partition":0,"skips":{str(skips).lower()},"topic":"demo","type":"{kind}"}}.n_clicks'


class TestAHaltedPartition:
    @pytest.fixture(autouse=True)
    def _halted(self, shop: Shop) -> None:
        shop.ingest.halted = "the records from offset 1,200 on cannot be decoded"

    @pytest.mark.parametrize(("role", "offered"), [("admin", True), ("analyst", False)])
    def test_says_why_and_offers_what_the_reader_may_do(self, page: Any, drawn: Drawn, offered: bool) -> None:
        table = drawn(page.stream(None, 0)[1])
        assert "cannot be decoded" in table
        assert ("Skip the record" in table) is offered

    @pytest.mark.parametrize(("skips", "words", "skip_to"), [(False, "Resume demo", None), (True, "Skip the", 1201)])
    def test_goes_on_once_that_is_confirmed(
        self, page: Any, shop: Shop, browser: Browser, drawn: Drawn, skips: bool, words: str, skip_to: int | None
    ) -> None:
        browser.triggers(clicked("data-resume", skips=skips), 1)
        assert words in drawn(page.ask_whether([1]))
        assert shop.ingest.resumed == []
        browser.triggers(clicked("data-resume-confirm", skips=skips), 1)
        question, message, changed = page.resume([1], None, 0)
        assert (question, changed) == (None, 1)
        assert shop.ingest.resumed == [("demo", 0, skip_to)]
        assert f"demo, partition 0, resumes at position {skip_to or 1200:,}." in drawn(message)
        assert "Running" in drawn(page.stream(None, 1)[1])

    def test_stays_as_it_is_after_all(self, page: Any, shop: Shop, browser: Browser) -> None:
        browser.triggers("data-resume-cancel.n_clicks", 1)
        assert page.resume([None], 1, 0) == (None, None, no_update)
        assert shop.ingest.halted

    def test_is_not_touched_by_buttons_that_have_just_been_drawn(self, page: Any, browser: Browser) -> None:
        browser.triggers(clicked("data-resume", skips=True), None)
        with pytest.raises(PreventUpdate):
            page.ask_whether([None, None])
        browser.triggers(clicked("data-resume-confirm", skips=True), None)
        with pytest.raises(PreventUpdate):
            page.resume([None], None, 0)

    def test_that_somebody_else_has_set_going_says_so(
        self, page: Any, shop: Shop, browser: Browser, drawn: Drawn
    ) -> None:
        shop.ingest.halted = ""
        browser.triggers(clicked("data-resume-confirm", skips=False), 1)
        _question, message, changed = page.resume([1], None, 3)
        assert "This partition is not halted." in drawn(message)
        assert changed == 4


class TestImport:
    def test_a_file_is_shown_with_its_guessed_mapping(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.ingest.previews["f" * 32] = PREVIEW
        form, message = page.show_form("f" * 32)
        assert message is None
        text = drawn(form)
        assert "shop <i>1</i>.csv" in text
        assert "85123A" in text

    @pytest.mark.parametrize("upload", ["../../etc/passwd", "gone"])
    def test_a_file_that_cannot_be_read_says_why(self, page: Any, drawn: Drawn, upload: str) -> None:
        form, message = page.show_form(upload)
        assert form is None
        assert "upload it again" in drawn(message)

    @pytest.mark.parametrize(
        ("mapping", "words"),
        [
            (PREVIEW.mapping, "unit price or amount"),
            (MAPPED, ""),
            ({"amount": "UnitPrice"}, "Order number"),
            ({**MAPPED, "quantity": NO_COLUMN}, "Quantity"),
        ],
    )
    def test_starts_only_when_nothing_is_missing(self, page: Any, mapping: dict[str, str], words: str) -> None:
        values, ids = columns(mapping)
        said, disabled, _moment = page.check_mapping(values, None, "UTC", ids, SEEN)
        assert words in said
        assert disabled is bool(words)

    def test_lines_of_json_start_as_they_are(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.ingest.previews["f" * 32] = FilePreview("s.ndjson", ("sale",), (('{"sale_id":1}',),), {}, (), is_json=True)
        form, _message = page.show_form("f" * 32)
        assert "data-field" not in drawn(form)
        assert "sale_id" in drawn(form)
        assert page.check_mapping([], None, "UTC", [], seen_in(form)) == ("", False, "")

    @pytest.mark.parametrize(
        ("orders", "order", "zone", "moment", "missing"),
        [
            (
                {"InvoiceDate": None},
                None,
                "UTC",
                "may be December 1, 2010, 8:26 AM or January 12, 2010, 8:26 AM",
                "Day and month",
            ),
            ({"InvoiceDate": None}, "dmy", "UTC", "is read as December 1, 2010, 8:26 AM", ""),
            ({"InvoiceDate": None}, "mdy", "Asia/Tokyo", "is read as January 11, 2010, 11:26 PM", ""),
            ({"InvoiceDate": "dmy"}, None, "UTC", "is read as December 1, 2010, 8:26 AM", ""),
            ({"InvoiceDate": "dmy"}, "ymd", "UTC", "", ""),
            ({"InvoiceDate": "dmy"}, None, "Mars/Olympus", "", ""),
        ],
    )
    def test_the_first_moment_is_shown_as_it_will_be_read(
        self, page: Any, shop: Shop, orders: dict[str, Any], order: Any, zone: str, moment: str, missing: str
    ) -> None:
        """And where it may be one of two, the import does not start before somebody has said which."""
        rows = (("536365", "85123A", "6", "01/12/2010 08:26", "2.55"),)
        shop.ingest.previews["f" * 32] = replace(PREVIEW, rows=rows, date_orders=orders)
        form, _message = page.show_form("f" * 32)
        values, ids = columns(MAPPED)
        words, disabled, said = page.check_mapping(values, order, zone, ids, seen_in(form))
        assert moment in said.replace("\u202f", " ")
        assert bool(said) is bool(moment)
        assert missing in words
        assert disabled is bool(missing)

    @pytest.mark.parametrize(
        "seen", [None, 5, {}, {"orders": [], "cells": {"InvoiceDate": {}}}, {"cells": "x"}, YEAR_ONE]
    )
    def test_whatever_a_browser_says_of_the_file_is_answered(self, page: Any, seen: Any) -> None:
        values, ids = columns(MAPPED)
        assert page.check_mapping(values, {"a": 1}, ["b"], ids, seen)[:2] == ("", False)
        assert page.check_mapping(values, None, "Asia/Tokyo", ids, seen) == ("", False, "")

    def test_is_started_with_the_corrected_mapping(self, page: Any, shop: Shop, browser: Browser) -> None:
        browser.triggers("data-start.n_clicks", 1)
        values, ids = columns({**MAPPED, "region": NO_COLUMN})
        upload, _message = page.start(1, None, values, ids, "dmy", "Asia/Tokyo", "f" * 32)
        assert upload is None
        assert shop.ingest.read_as == [("Asia/Tokyo", "dmy")]
        assert shop.ingest.started == [("f" * 32, {**MAPPED, "region": ""})]

    def test_what_the_program_refuses_is_said(
        self, page: Any, shop: Shop, browser: Browser, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_args: Any) -> None:
            raise InvalidInput("The file has no column Price.")

        monkeypatch.setattr(shop.ingest, "start_import", refuse)
        browser.triggers("data-start.n_clicks", 1)
        upload, message = page.start(1, None, *columns(MAPPED), None, "UTC", "f" * 32)
        assert upload is no_update
        assert "no column Price" in drawn(message)

    def test_nothing_starts_by_itself(self, page: Any) -> None:
        with pytest.raises(PreventUpdate):
            page.start(None, None, *columns(MAPPED), None, "UTC", "f" * 32)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"state": "running", "rows_done": 50}, "50%"),
            ({"state": "done", "accepted": 99, "rejected": 1}, "99 sales accepted"),
            ({"state": "failed", "message": "Line 7 has 3 columns."}, "Line 7 has 3 columns."),
        ],
    )
    def test_progress_and_result_are_shown(
        self, page: Any, shop: Shop, drawn: Drawn, changes: dict[str, Any], words: str
    ) -> None:
        usual: dict[str, Any] = {"rows_done": 100, "accepted": 0, "rejected": 0, "message": ""}
        shop.ingest.running = [
            ImportView(
                id=1, name="a.csv", rows_total=100, duplicate=0, started_by="ann", started_at=NOW, updated_at=NOW,
                finished_at=NOW, **(usual | changes),
            )
        ]  # fmt: skip
        assert words in drawn(page.imports(1, None))


@pytest.mark.parametrize("language", ["en", "de", "es", "ar"])
def test_a_file_may_name_its_columns_as_the_page_does(language: str) -> None:
    with use(Preferences(language)):
        words = {field: str(label) for field, label in FIELD_WORDS.items()}
    assert guess(list(words.values())) == words


@pytest.mark.parametrize(("accepted", "late", "said"), [(0, 0, "–"), (3, 0, "0 s"), (3, 60, "1 min")])
def test_how_late_sales_arrive_is_said_where_any_did(drawn: Drawn, accepted: int, late: int, said: str) -> None:
    minutes = tuple((NOW - timedelta(minutes=5 - i), accepted, 0, 0, late) for i in range(6))
    pace = drawn(stream.pace(StreamStatus((), minutes), Freshness(None, None, None, "", 0), NOW))
    words = re.findall(r'"children": "([^"]+)"', pace)
    assert words[words.index("Delay after the sale") + 1] == said


class TestRejected:
    def test_are_shown_with_reason_and_bytes(self, rejected: Any, shop: Shop, drawn: Drawn) -> None:
        shop.ingest.letters = {1: dead_letter(1)}
        table, options = rejected.letters("", 0, None)
        assert "Unreadable" in drawn(table)
        assert [option["value"] for option in options] == ["", "malformed"]

    def test_of_a_file_name_it_and_their_row_as_people_count(self, rejected: Any, shop: Shop) -> None:
        shop.ingest.letters = {1: dead_letter(1), 2: dead_letter(2, file="shop.csv")}
        table, _options = rejected.letters("", 0, None)
        assert {row["where"] for row in table.rowData} == {"sales · 0 · 41", "shop.csv, row 43"}

    def test_bytes_run_from_left_to_right_in_every_language(self, rejected: Any, shop: Shop, drawn: Drawn) -> None:
        shop.ingest.letters = {1: dead_letter(1)}
        with use(Preferences("ar")):
            table = rejected.letters("", 0, None)[0]
        styles = {column["field"]: column.get("cellStyle") for column in table.columnDefs}
        assert styles["bytes"] == {"direction": "ltr"}
        assert styles["reason"] is None

    def test_that_come_while_the_page_is_open_are_shown_unless_somebody_is_choosing(
        self, rejected: Any, shop: Shop
    ) -> None:
        shop.ingest.letters = {}
        seen = rejected.letters_seen(1, None, None)
        assert rejected.letters_seen(2, seen, None) is no_update
        shop.ingest.letters = {1: dead_letter(1)}
        assert rejected.letters_seen(3, seen, []) != seen
        with pytest.raises(PreventUpdate):
            rejected.letters_seen(3, seen, [{"id": 1}])

    def test_are_put_away(self, rejected: Any, shop: Shop, browser: Browser, drawn: Drawn) -> None:
        shop.ingest.letters = {1: dead_letter(1), 2: dead_letter(2)}
        browser.triggers("data-discard.submit_n_clicks", 1)
        changed, message, form = rejected.settle(None, 1, [{"id": 2}, {"id": "x"}, None], 0)
        assert (changed, form) == (1, None)
        assert "1 record discarded." in drawn(message)
        assert [letter.state for letter in shop.ingest.letters.values()] == ["open", "discarded"]

    def test_are_tried_again_and_those_that_fail_say_why(
        self, rejected: Any, shop: Shop, browser: Browser, drawn: Drawn
    ) -> None:
        shop.ingest.letters = {1: dead_letter(1), 2: dead_letter(2)}
        browser.triggers("data-retry.n_clicks", 1)
        _changed, message, _form = rejected.settle(1, None, [{"id": 1}, {"id": 2}], 0)
        assert "2 were rejected again. Empty record: no value." in drawn(message)

    def test_one_is_corrected_by_hand(self, rejected: Any, shop: Shop, browser: Browser, drawn: Drawn) -> None:
        shop.ingest.letters = {1: dead_letter(1, record=b'{"sale_id":"a","quantity":"x"}')}
        form, _message = rejected.edit(1, [{"id": 1}])
        assert "\\x00" in drawn(form)  # the bytes as they came
        assert '\\"quantity\\": \\"x\\"' in drawn(form)
        browser.triggers("data-correction-try.n_clicks", 1)
        form, message, changed = rejected.correct(
            1, None, ['{"quantity": 2}'], [{"type": "data-correction", "of": 1}], 0
        )
        assert (form, changed) == (None, 1)
        assert shop.ingest.corrected == {1: b'{"quantity": 2}'}
        assert "1 record was accepted." in drawn(message)

    @pytest.mark.parametrize("selected", [[], [{"id": 1}, {"id": 2}]])
    def test_only_one_at_a_time_is_corrected(self, rejected: Any, drawn: Drawn, selected: Any) -> None:
        form, message = rejected.edit(1, selected)
        assert form is no_update
        assert "Select one record" in drawn(message)

    def test_an_empty_correction_is_not_read(self, rejected: Any, browser: Browser, drawn: Drawn) -> None:
        browser.triggers("data-correction-try.n_clicks", 1)
        form, message, changed = rejected.correct(1, None, [" "], [{"type": "data-correction", "of": 1}], 0)
        assert (form, changed) == (no_update, no_update)
        assert "nothing to read" in drawn(message)

    @pytest.mark.parametrize(
        ("result", "words"),
        [
            (PostResult(2, 1, 0), "2 records were accepted. 1 was stored already."),
            (PostResult(0, 0, 1, (RowResult(0, "rejected", "too_late"),)), "1 was rejected again. Too late."),
            (PostResult(1, 0, 0), "1 record was accepted. 2 have to be corrected first."),
        ],
    )
    def test_every_outcome_is_said(self, result: PostResult, words: str) -> None:
        assert retried_words(result, 3).startswith(words)

    @pytest.mark.parametrize("selected", [None, [], [{"id": "1 OR 1=1"}], "x"])
    def test_nothing_happens_to_what_was_not_chosen(
        self, rejected: Any, browser: Browser, drawn: Drawn, selected: Any
    ) -> None:
        browser.triggers("data-retry.n_clicks", 1)
        changed, message, _form = rejected.settle(1, None, selected, 0)
        assert changed is no_update
        assert "Select records" in drawn(message)

    @pytest.mark.parametrize(
        ("payload", "text"),
        [
            (b"abc", "abc"),
            (b"a\x00b", "a\\x00b"),
            (b"\xff", "\\xff"),
            ("é".encode(), "é"),
            ("\u202e".encode(), "\\u202e"),
        ],
    )
    def test_bytes_are_readable(self, payload: bytes, text: str) -> None:
        assert readable_bytes(payload) == text

"""From an alert to the people and programs that want to know: once, in their own form, when they want it."""

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest
from sqlalchemy import func, select

from nebuloviz.background import Repeater
from nebuloviz.db import Database
from nebuloviz.detection.series import SeriesKey
from nebuloviz.models import AlertOutbox, NotificationItem, User
from nebuloviz.observability import JsonFormatter
from nebuloviz.permissions import SYSTEM
from nebuloviz.services import alert_store
from nebuloviz.services.alert_picture import alert_picture
from nebuloviz.services.delivery import FIRST_PAUSE, MAX_ATTEMPTS
from nebuloviz.services.interfaces import ChannelDraft, NotificationRule
from tests.figures import Growth
from tests.receivers import Hooked, Mailbox, hook, mailbox
from tests.servers import free_port
from tests.services.newsroom import Newsroom, newsroom
from tests.services.watched_shop import write


@pytest.fixture(scope="module")
def box() -> Iterator[Mailbox]:
    with mailbox() as opened:
        yield opened


@pytest.fixture(scope="module")
def program() -> Iterator[Hooked]:
    with hook() as opened:
        yield opened


@pytest.fixture
def room(migrated_url: str, tmp_path: Path, box: Mailbox, program: Hooked) -> Iterator[Newsroom]:
    """A program that can send to the box and to the hook, which are empty."""
    box.messages.clear()
    program.requests.clear()
    program.answers.clear()
    with newsroom(migrated_url, tmp_path) as room:
        address = "https://sales.example.com"
        room.settings(**box.settings, webhook_private_hosts="127.0.0.1", public_address=address, currency="EUR")
        yield room


class TestOutbox:
    def news(self, database: Database) -> list[str]:
        with database.session() as session:
            return list(session.scalars(select(AlertOutbox.event).order_by(AlertOutbox.id)))

    def test_is_written_with_the_alert_or_not_at_all(self, room: Newsroom) -> None:
        room.alert()
        assert self.news(room.database) == ["raised"]
        with room.database.session() as session:  # which is rolled back
            alert_store.resolve(session, 1, room.now)
            assert session.scalar(select(func.count()).select_from(AlertOutbox)) == 2
        assert self.news(room.database) == ["raised"]

    def test_tells_what_got_worse_and_what_is_over(self, room: Newsroom) -> None:
        room.alert("low")
        with room.database.transaction() as session:
            [(series, (number, alert))] = alert_store.open_alerts(session, "series", room.now).items()
            worse = alert.worst.__class__(**{**vars(alert.worst), "severity": "critical", "score": 9.0})
            alert_store.apply(session, {series: (number, alert)}, {series: worse}, room.now)
            alert_store.apply(session, {series: (number, alert)}, {}, room.now + timedelta(days=1))
        assert isinstance(series, SeriesKey)
        assert self.news(room.database) == ["raised", "worsened", "over"]

    def test_tells_what_somebody_has_resolved(self, room: Newsroom) -> None:
        number = room.alert()
        with room.database.transaction() as session:
            room.parts.services.alerts.acknowledge(session, SYSTEM, number)
            room.parts.services.alerts.resolve(session, SYSTEM, number)
        assert self.news(room.database) == ["raised", "over"]


class TestDigest:
    def test_comes_once_a_day_at_the_readers_hour_in_their_language_within_their_scope(
        self, room: Newsroom, box: Mailbox
    ) -> None:
        anna = room.user("anna", language="de", time_zone="Asia/Kolkata", scope=(("region", ("north",)),))
        yesterday = room.now.astimezone(ZoneInfo("Asia/Kolkata")).replace(hour=0, minute=0) - timedelta(hours=12)
        for weeks, north in ((1, 100), (0, 250)):
            sales = [
                {
                    "sale_id": f"{weeks}{region}", "order_id": f"{weeks}{region}", "product_id": "p", "quantity": 1,
                    "sold_at": yesterday - timedelta(weeks=weeks), "unit_price": price, "region": region, "currency": "EUR",
                }
                for region, price in (("north", north), ("south", 7777))
            ]  # fmt: skip
            write(room.database, [orjson.dumps(sale) for sale in sales], room.now)
        room.now = yesterday + timedelta(hours=12 + 24 + 7)  # seven in the morning of the reader's today
        room.channel(anna, digest_at=7 * 60 + 30, rules=())
        room.alert()
        room.deliver()
        assert not box.messages
        room.pass_(minutes=31)
        room.deliver()
        room.pass_(hours=2)
        room.deliver()
        [mail] = box.messages
        [message] = room.messages()
        assert (message.about, message.state) == ("digest", "sent")
        assert (mail["To"], mail["Subject"][:16]) == ("anna@example.com", "Tageszusammenfas")
        for kind in ("plain", "html"):
            body = mail.get_body((kind,))
            assert body is not None
            words = body.get_content()
            assert "250" in words
            assert "7.7" not in words
            assert "https://sales.example.com/insights" in words
        room.pass_(hours=22)
        room.deliver()
        assert [each.about for each in room.messages()] == ["digest", "digest"]

    def test_is_not_for_who_may_not_read_or_is_gone(self, room: Newsroom, box: Mailbox) -> None:
        room.channel(room.user("bert"), digest_at=0)
        with room.database.transaction() as session:
            for user in session.scalars(select(User)):
                user.disabled = True
        room.deliver()
        assert (list(box.messages), room.messages()) == ([], [])


class TestMail:
    def test_has_a_picture_of_the_grain_of_its_alert(self, room: Newsroom) -> None:
        services, number = room.parts.services, room.alert()
        with room.database.session() as session:
            of_an_hour = services.alerts.get(session, SYSTEM, number)
            of_a_day = replace(of_an_hour, bucket_start=of_an_hour.bucket_end - timedelta(days=1))
            said = [alert_picture(session, SYSTEM, services, alert, room.now)[1] for alert in (of_an_hour, of_a_day)]
        assert [" by hour, " in said[0], " by day, " in said[1]] == [True, True]

    def test_is_in_the_reader_s_language_zone_and_form_with_a_picture(self, room: Newsroom, box: Mailbox) -> None:
        room.channel(room.user("anna", language="de", time_zone="Asia/Kolkata"))
        alert = room.alert(region="Nord <1>")
        room.deliver()
        [mail] = box.messages
        [message] = room.messages()
        assert mail["To"] == "anna@example.com"
        assert mail["Message-ID"] == f"<{message.key}@example.com>"
        assert mail["Subject"].startswith("Hoch: Umsatz: ")
        assert "620,50" in mail["Subject"]
        text, html = mail.get_body(("plain",)), mail.get_body(("html",))
        assert text is not None
        assert html is not None
        kolkata = (room.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=5, minutes=30)).strftime(
            "%H:%M"
        )
        assert kolkata in text.get_content()
        assert f"https://sales.example.com/alerts/{alert}" in text.get_content()
        assert "Nord &lt;1&gt;" in html.get_content()
        [picture] = [part for part in mail.walk() if part.get_content_type() == "image/png"]
        assert picture["Content-ID"] == "<picture0>"
        assert "cid:picture0" in html.get_content()
        assert picture.get_content().startswith(b"\x89PNG")
        assert (message.state, message.attempts) == ("sent", 1)

    def test_of_somebody_confined_to_rows_tells_of_these(self, room: Newsroom, box: Mailbox) -> None:
        room.channel(room.user("sue", scope=(("region", ("south",)),)))
        for region in ("north", "south"):
            room.alert(region=region)
        room.alert(channel="web")
        room.deliver()
        [mail] = box.messages
        assert "south" in mail["Subject"]
        assert "more" not in mail["Subject"]

    def test_of_the_installation_goes_to_its_address(self, room: Newsroom, box: Mailbox) -> None:
        room.settings(language="es")
        room.channel(SYSTEM, shared=True, target="team@example.com")
        room.alert()
        room.deliver()
        assert box.messages[0]["To"] == "team@example.com"
        assert box.messages[0]["Subject"].startswith("Alta: ")


class TestRules:
    def test_of_quiet_hours_make_messages_wait_but_for_critical_alerts(self, room: Newsroom, program: Hooked) -> None:
        later = room.now + timedelta(hours=2)
        begin = later.hour * 60 + later.minute
        rule = NotificationRule(begin=begin, end=(begin + 60) % 1440)
        room.channel(room.user("anna"), "webhook", target=program.url, rules=(rule,), group_minutes=0)
        room.alert("high")
        room.alert("critical")
        room.deliver()
        assert told(program) == [["critical"]]
        room.pass_(hours=2)
        room.deliver()
        assert told(program) == [["critical"], ["high"]]

    def test_tell_the_end_to_those_who_know_of_the_beginning(self, room: Newsroom, program: Hooked) -> None:
        rules = (NotificationRule(least="high"), NotificationRule(least="critical", over=False))
        room.channel(room.user("anna"), "webhook", target=program.url, rules=rules, group_minutes=0)
        known, unknown = room.alert("high"), room.alert("low")
        room.deliver()
        with room.database.transaction() as session:
            for number in (known, unknown):
                alert_store.resolve(session, number, room.now)
        room.deliver()
        assert [[(item["id"], item["told"]) for item in body["alerts"]] for body in bodies(program)] == [
            [(known, "open")],
            [(known, "over")],
        ]

    def test_tell_that_an_alert_is_open_again_and_that_it_is_over_again(self, room: Newsroom, program: Hooked) -> None:
        rules = (NotificationRule(least="high"),)
        room.channel(room.user("anna"), "webhook", target=program.url, rules=rules, group_minutes=0)
        known, _other = room.alert("high"), room.alert("low")
        room.deliver()
        alerts = room.parts.services.alerts
        for _ in range(2):
            for step in (alerts.resolve, alerts.reopen):
                with room.database.transaction() as session:
                    step(session, SYSTEM, known)
                room.deliver()
        said = [(item["id"], item["told"]) for body in bodies(program) for item in body["alerts"]]
        assert said == [(known, each) for each in ("open", *("over", "reopened") * 2)]
        assert "open again" in str(bodies(program)[-1]["headline"])

    def test_tell_nothing_of_what_was_found_long_after(self, room: Newsroom, program: Hooked) -> None:
        room.channel(room.user("anna"), "webhook", target=program.url)
        room.alert(ago=timedelta(days=2))
        room.deliver()
        assert program.requests == []


def bodies(program: Hooked) -> list[dict[str, list[dict[str, object]]]]:
    return [json.loads(body) for _path, _headers, body in program.requests]


def told(program: Hooked) -> list[list[object]]:
    return [[item["severity"] for item in body["alerts"]] for body in bodies(program)]


class TestGroups:
    def test_have_all_alerts_of_a_period(self, room: Newsroom, program: Hooked) -> None:
        room.channel(room.user("anna"), "webhook", target=program.url, group_minutes=15)
        for severity in ("low", "critical", "high"):
            room.alert(severity)
        room.deliver()
        assert told(program) == [["critical", "high", "low"]]
        room.alert("low")
        room.pass_(minutes=14)
        room.alert("high")
        room.deliver()
        assert len(program.requests) == 1
        room.pass_(minutes=1)
        room.deliver()
        assert told(program)[1:] == [["high", "low"]]

    def test_grow_where_an_hour_s_messages_are_used_up(self, room: Newsroom, program: Hooked) -> None:
        room.channel(room.user("anna"), "webhook", target=program.url, group_minutes=0, most_per_hour=2)
        for _number in range(4):
            room.alert()
            room.deliver()
        assert list(map(len, told(program))) == [1, 1]
        room.pass_(hours=1)
        room.deliver()
        assert list(map(len, told(program))) == [1, 1, 2]


class TestTheLog:
    def test_leads_from_the_look_that_raised_alerts_to_the_message_about_them(
        self, room: Newsroom, program: Hooked, caplog: pytest.LogCaptureFixture
    ) -> None:
        anna = room.user("anna")
        room.channel(anna, "webhook", target=program.url)
        raised: list[int] = []

        def look() -> bool:
            raised.extend([room.alert("high"), room.alert("low")])
            repeater.stop()
            return False

        caplog.handler.setFormatter(JsonFormatter())
        repeater = Repeater("series watch", look, 60)
        since = Growth()
        with caplog.at_level(logging.INFO):
            repeater.start()
            assert repeater.join(30)
            room.deliver()
        assert since.of("alerts_raised_total") == {("high",): 1, ("low",): 1}
        assert since.of("notifications_total") == {("webhook", "sent"): 1}
        lines = [json.loads(line) for line in caplog.text.splitlines()]
        told = [line for line in lines if "alerts" in line]
        assert [line["alerts"] for line in told] == [[raised[0]], [raised[1]], raised]
        first, second, sent = (line["request_id"] for line in told)
        assert first == second
        assert first.startswith("series-watch@")
        assert sent == room.messages()[0].key
        assert (told[-1]["user_id"], told[-1]["channel"], told[-1]["level"]) == (str(anna.user_id), "webhook", "INFO")
        assert told[-1]["message"].startswith(f"notification {sent}: sent")

    def test_names_nobody_whom_or_where_it_could_not_be_sent_to(
        self, room: Newsroom, program: Hooked, caplog: pytest.LogCaptureFixture
    ) -> None:
        anna = room.user("anna-private")
        room.settings(smtp_port=free_port(), smtp_user="private-user", smtp_password="private-word")
        room.channel(anna)
        room.channel(anna, "webhook", target=f"{program.url}/private-hook?secret=private")
        room.channel(anna, "slack", target=f"{program.url}/services/private-slack")
        program.answers += [(404, {}), (404, {})]
        room.alert(region="private-place")
        caplog.handler.setFormatter(JsonFormatter())
        with caplog.at_level(logging.DEBUG):
            room.deliver()
        lines = [json.loads(line) for line in caplog.text.splitlines()]
        failed = {(line["channel"], line["level"]) for line in lines if line["message"].startswith("notification")}
        assert failed == {(kind, "WARNING") for kind in ("mail", "webhook", "slack")}
        assert "private" not in caplog.text


class TestTrouble:
    def test_is_tried_again_ever_later_with_the_same_key(self, room: Newsroom, program: Hooked) -> None:
        room.channel(room.user("anna"), "webhook", target=program.url)
        room.alert()
        program.answers += [(503, {}), (429, {})]
        since = Growth()
        for pause in (FIRST_PAUSE, 2 * FIRST_PAUSE):
            room.deliver()
            [message] = room.messages()
            assert (message.state, message.reason, message.next_at) == ("waiting", "answer", room.now + pause)
            room.now += pause
        room.deliver()
        [message] = room.messages()
        assert (message.state, message.attempts, message.reason, message.status) == ("sent", 3, "", 0)
        assert program.keys == [message.key] * 3
        assert since.of("notifications_total") == {("webhook", "again"): 2, ("webhook", "sent"): 1}

    @pytest.mark.parametrize(("status", "reason"), [(404, "answer"), (302, "redirect")])
    def test_that_lasts_is_not(
        self, room: Newsroom, program: Hooked, status: int, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        anna = room.user("anna")
        room.channel(anna, "slack", target=program.url)
        room.alert()
        program.answers.append((status, {"Location": program.url + "/elsewhere"}))
        caplog.handler.setFormatter(JsonFormatter())
        since = Growth()
        room.deliver()
        [message] = room.messages()
        assert (message.state, message.reason, message.status) == ("failed", reason, status)
        assert since.of("notifications_total") == {("slack", "failed"): 1}
        assert len(program.requests) == 1
        [line] = [json.loads(line) for line in caplog.text.splitlines() if message.key in line]
        assert (line["request_id"], line["user_id"]) == (message.key, str(anna.user_id)), "the log names whose it was"
        assert (line["level"], line["channel"]) == ("WARNING", "slack")

    def test_ends_some_time(self, room: Newsroom, program: Hooked) -> None:
        room.channel(room.user("anna"), "webhook", target=program.url)
        room.alert()
        program.answers += [(500, {})] * MAX_ATTEMPTS
        for _attempt in range(MAX_ATTEMPTS):
            room.deliver()
            room.pass_(hours=1)
        assert (room.messages()[0].state, len(program.requests)) == ("failed", MAX_ATTEMPTS)

    def test_of_a_mail_server_waits_for_it(self, room: Newsroom, box: Mailbox) -> None:
        room.channel(room.user("anna"))
        room.settings(smtp_host=None)
        room.alert()
        room.deliver()
        assert (room.messages()[0].state, room.messages()[0].reason) == ("waiting", "no_server")
        room.settings(**box.settings)
        room.pass_(minutes=1)
        room.deliver()
        assert len(box.messages) == 1

    def test_nobody_hears_of_what_may_not_be_seen_any_more(self, room: Newsroom, program: Hooked) -> None:
        anna = room.user("anna")
        room.channel(anna, "webhook", target=program.url)
        room.alert()
        deliverer = room.deliverer("the test")
        deliverer.collect()
        since = Growth()
        with room.database.transaction() as session:
            session.get_one(User, anna.user_id).disabled = True
        assert deliverer.deliver()
        assert (room.messages()[0].state, program.requests) == ("dropped", [])
        assert since.of("notifications_total") == {("webhook", "dropped"): 1}

    def test_a_channel_that_is_off_collects_nothing(self, room: Newsroom, program: Hooked) -> None:
        anna = room.user("anna")
        made = room.channel(anna, "webhook", target=program.url)
        room.alert()
        room.deliverer("the test")._as_elected(room.now, room.deliverer("the test")._fan_out)
        with room.database.transaction() as session:
            off = ChannelDraft("To me", enabled=False)
            room.parts.services.notifications.change(session, anna, made.view.id, 1, off)
        room.deliver()
        assert (room.messages(), program.requests) == ([], [])


def test_of_several_processes_one_sends_and_each_alert_is_told_once(room: Newsroom, program: Hooked) -> None:
    room.channel(room.user("anna"), "webhook", target=program.url, group_minutes=0, most_per_hour=60)
    count = 12
    for _number in range(count):
        room.alert()

    def work(holder: str) -> None:
        deliverer = room.deliverer(holder)
        for _step in range(6):
            deliverer.collect()
            deliverer.deliver()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    room.deliver()
    ids = [item["id"] for body in bodies(program) for item in body["alerts"]]
    assert sorted(ids) == sorted(set(ids))  # type: ignore[type-var]  # they are numbers
    assert len(ids) == count
    assert len(set(program.keys)) == len(program.keys)
    with room.database.session() as session:
        assert session.scalar(select(func.count()).select_from(AlertOutbox)) == 0
        assert session.scalar(select(func.count()).select_from(NotificationItem)) == count

"""E-mails, handed to a real SMTP server."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nebuloviz.db import Database
from nebuloviz.errors import Conflict, InvalidInput, Unavailable
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.interfaces import InstallationSettings, Mail, PasswordOffer, UserDraft, UserRecord
from nebuloviz.services.mail import SmtpMail
from nebuloviz.services.mail_texts import password_mail, trial_mail
from nebuloviz.services.password_mails import mail_password_link
from nebuloviz.services.sealing import Seal
from nebuloviz.services.users import DatabaseUsers
from nebuloviz.settings import load
from tests.receivers import START_SECONDS
from tests.servers import free_port

SECRET = "a secret of at least thirty-two letters"
SEAL = Seal(SECRET, "settings")
MAIL = Mail("anna@example.com", "Grüße", "Käse & Co\n", "<p>Käse &amp; Co</p>")
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@dataclass
class Inbox:
    """What the server has taken."""

    envelopes: list[Envelope] = field(default_factory=list)
    refused: str = ""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address == self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        self.envelopes.append(envelope)
        return "250 OK"

    def message(self) -> EmailMessage:
        [envelope] = self.envelopes
        found = message_from_bytes(bytes(envelope.original_content or b""), policy=default)
        assert isinstance(found, EmailMessage)
        return found


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that nobody has vouched for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


Start = Callable[..., InstallationSettings]


@pytest.fixture
def start(inbox: Inbox) -> Iterator[Start]:
    """`start(**options of the server)` runs one, and gives settings that lead to it."""
    running: list[Controller] = []

    def started(**options: Any) -> InstallationSettings:
        controller = Controller(inbox, hostname="127.0.0.1", port=free_port(), ready_timeout=START_SECONDS, **options)
        controller.start()
        running.append(controller)
        return InstallationSettings(
            smtp_host="127.0.0.1", smtp_port=controller.port, smtp_encryption="none", smtp_from="sales@example.com"
        )

    yield started
    for controller in running:
        controller.stop()


def send(settings: InstallationSettings, mail: Mail = MAIL, timeout_seconds: float = 5.0) -> None:
    SmtpMail(lambda: settings, SEAL, timeout_seconds).send(mail)


def knows(_server: SMTP, _session: Session, _envelope: Envelope, _way: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"till", b"open sesame"), handled=False)


class TestSending:
    def test_brings_text_and_html_from_the_installation(self, inbox: Inbox, start: Start) -> None:
        send(replace(start(), name="Käse & Söhne"))
        message = inbox.message()
        assert message["Subject"] == "Grüße"
        assert message["From"] == "Käse & Söhne <sales@example.com>"
        assert message["To"] == "anna@example.com"
        assert message["Date"]
        assert message["Message-ID"]
        text, html = message.get_body(("plain",)), message.get_body(("html",))
        assert text is not None
        assert html is not None
        assert (text.get_content().strip(), html.get_content().strip()) == (MAIL.text.strip(), MAIL.html)
        assert inbox.envelopes[0].rcpt_tos == ["anna@example.com"]

    @pytest.mark.usefixtures("trusted")
    @pytest.mark.parametrize("encryption", ["starttls", "tls"])
    def test_is_encrypted_and_signed_in(self, inbox: Inbox, start: Start, tls: ssl.SSLContext, encryption: str) -> None:
        way = (
            {"ssl_context": tls, "auth_require_tls": False}
            if encryption == "tls"
            else {"tls_context": tls, "auth_required": True}
        )
        asked: dict[str, Any] = {"authenticator": knows, **way}
        settings = replace(
            start(**asked), smtp_encryption=encryption, smtp_user="till", smtp_password=SEAL.close("open sesame")
        )
        send(settings)
        assert inbox.message()["To"] == "anna@example.com"
        for password in ("open", "sésame"):
            with pytest.raises(Unavailable, match="refuses the user or the password"):
                send(replace(settings, smtp_password=SEAL.close(password)))

    def test_without_a_server_is_refused(self) -> None:
        with pytest.raises(Conflict):
            send(InstallationSettings())


class TestTrouble:
    """Whatever the server does, the administrator is told of it, in time."""

    def test_of_a_certificate(self, inbox: Inbox, start: Start, tls: ssl.SSLContext) -> None:
        settings = replace(start(tls_context=tls), smtp_encryption="starttls")
        with pytest.raises(Unavailable, match="certificate is not valid"):
            send(settings)
        assert not inbox.envelopes

    def test_of_a_server_without_encryption(self, inbox: Inbox, start: Start) -> None:
        with pytest.raises(Unavailable, match="does not support"):
            send(replace(start(), smtp_encryption="starttls"))
        assert not inbox.envelopes

    def test_of_a_port_without_tls(self, start: Start) -> None:
        with pytest.raises(Unavailable, match=r"does not speak TLS|did not respond"):
            send(replace(start(), smtp_encryption="tls"), timeout_seconds=1.0)

    def test_of_a_mailbox_that_there_is_not(self, inbox: Inbox, start: Start) -> None:
        inbox.refused = MAIL.to
        with pytest.raises(Unavailable, match="refuses mail to this address"):
            send(start())

    def test_of_a_server_that_is_away(self) -> None:
        away = InstallationSettings(smtp_host="127.0.0.1", smtp_port=free_port(), smtp_from="a@example.com")
        with pytest.raises(Unavailable, match="cannot be reached"):
            send(away)

    @pytest.mark.parametrize("host", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "0.0.0.0", "2852039166"])
    @pytest.mark.parametrize("encryption", ["none", "tls"])
    def test_of_an_address_that_clouds_tell_secrets_at(self, host: str, encryption: str) -> None:
        there = InstallationSettings(smtp_host=host, smtp_encryption=encryption, smtp_from="a@example.com")
        with pytest.raises(Unavailable, match="cannot be that of a mail server"):
            send(there)

    def test_of_a_password_that_another_secret_sealed(self, start: Start) -> None:
        other = Seal(SECRET[::-1], "settings").close("open sesame")
        with pytest.raises(Conflict, match="enter it again"):
            send(replace(start(), smtp_user="till", smtp_password=other))


class TestHeaders:
    @pytest.mark.parametrize(
        "to", ["a@b\r\nBcc: c@d", "a@b\nBcc: c@d", "a@b, c@d", "A <a@b>", "", "a", "a@b\x00", "a@b@c", "a\u2028@b"]
    )
    def test_are_not_added_by_an_address(self, inbox: Inbox, start: Start, to: str) -> None:
        with pytest.raises(InvalidInput):
            send(start(), replace(MAIL, to=to))
        assert not inbox.envelopes

    @pytest.mark.parametrize(
        "text", ["x\r\nBcc: evil@example.com", "x\nBcc: evil@example.com", "x\rBcc: y\u2028Bcc: z"]
    )
    def test_are_not_added_by_a_subject_or_a_name(self, inbox: Inbox, start: Start, text: str) -> None:
        send(replace(start(), name=text), replace(MAIL, subject=text))
        assert inbox.message()["Bcc"] is None
        assert inbox.message()["Subject"].startswith("x Bcc:")
        assert inbox.envelopes[0].rcpt_tos == ["anna@example.com"]

    def test_have_no_gaps_where_marks_of_direction_were(self, inbox: Inbox, start: Start) -> None:
        send(start(), replace(MAIL, subject="\u2068100%\u2069, \u202eabc"))
        assert inbox.message()["Subject"] == "100%, abc"


class TestLinks:
    """Sent by `mail_password_link`, for pages and programs alike."""

    @pytest.fixture
    def invited(self, database: Database, tmp_path: Path, start: Start) -> tuple[Any, Callable[..., Any], int]:
        """What is behind the function, a way to act as an administrator, and a user without a password."""
        audit = DatabaseAudit()
        users = DatabaseUsers(DatabaseAuth(load(data_dir=tmp_path), rounds=4), audit)
        decided = start()
        behind = SimpleNamespace(
            users=users, audit=audit, mail=SmtpMail(lambda: decided, SEAL), settings=SimpleNamespace(current=decided)
        )

        def act(method: Callable[..., Any], *arguments: Any) -> Any:
            with database.transaction() as session:
                return method(session, SYSTEM, *arguments)

        draft = UserDraft("viewer", "anna@example.com")
        return behind, act, act(users.create, "anna", draft).user.id

    def test_reach_the_user_and_are_noted(self, invited: tuple[Any, Callable[..., Any], int], inbox: Inbox) -> None:
        behind, act, user_id = invited
        mailed = mail_password_link(behind, act, user_id, "https://here.example")
        assert mailed.failure is None
        assert f"https://here.example{mailed.offer.path}" in inbox.message().get_body(("plain",)).get_content()  # type: ignore[union-attr]
        assert act(behind.audit.entries).items[0].action == "password:mail-link"

    def test_that_are_not_taken_are_given_back(
        self, invited: tuple[Any, Callable[..., Any], int], inbox: Inbox
    ) -> None:
        behind, act, user_id = invited
        inbox.refused = "anna@example.com"
        mailed = mail_password_link(behind, act, user_id, "https://here.example")
        assert mailed.failure is not None
        assert act(lambda session, _actor: behind.users.offered_to(session, mailed.offer.token)).username == "anna"
        assert act(behind.audit.entries).items[0].action == "password:link"

    def test_need_the_address_of_the_program(self, invited: tuple[Any, Callable[..., Any], int], inbox: Inbox) -> None:
        behind, act, user_id = invited
        with pytest.raises(Conflict):
            mail_password_link(behind, act, user_id, "")
        assert not inbox.envelopes


class TestTexts:
    def offer(self, state: Any, language: str) -> PasswordOffer:
        user = UserRecord(
            3,
            "<b>anna",
            "a@example.com",
            "viewer",
            "",
            (),
            state,
            NOW,
            None,
            1,
            language=language,
            time_zone="Asia/Kolkata",
        )
        return PasswordOffer(user, "token-1", NOW + timedelta(days=7))

    @pytest.mark.parametrize(
        ("language", "words", "direction"),
        [("en", "You have been invited", "ltr"), ("de", "eingeladen", "ltr"), ("ar", "دُعيت", "rtl")],
    )
    def test_are_in_the_reader_s_language(self, language: str, words: str, direction: str) -> None:
        mail = password_mail(self.offer("invited", language), "https://here.example", InstallationSettings(name="Acme"))
        assert words in mail.text
        assert words in mail.html
        assert f'dir="{direction}"' in mail.html
        assert "https://here.example/welcome/token-1" in mail.text
        assert 'href="https://here.example/welcome/token-1"' in mail.html

    def test_of_who_has_a_password_tell_of_a_new_one_and_escape_what_users_wrote(self) -> None:
        settings = InstallationSettings(name="<i>A & B")
        mail = password_mail(self.offer("active", ""), "https://here.example", settings)
        assert "new password" in mail.subject
        assert "https://here.example/welcome/token-1" in mail.text
        assert "<b>anna" not in mail.html
        assert "<i>A" not in mail.html
        assert "&lt;b&gt;anna" in mail.html

    def test_fall_back_to_a_language_that_is_offered(self) -> None:
        settings = InstallationSettings(languages=("es",), language="es")
        assert "llegan" in trial_mail("a@example.com", "de", settings).text

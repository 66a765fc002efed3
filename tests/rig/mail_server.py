"""A mail server that wants STARTTLS and a password, and keeps what it is given (aiosmtpd)."""

import email
import email.policy
import socket
import ssl
import threading
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class MailServer:
    USER, PASSWORD = "platform", "correct horse"

    def __init__(self, certificate, key):
        server = self
        self.news = threading.Condition()
        self.mails: list[email.message.EmailMessage] = []
        self.recipients: list[str] = []
        #: Addresses that are refused for good.
        self.unknown: set[str] = set()

        class Handler:
            async def handle_RCPT(self, _server, _session, envelope, address, _options):
                if address in server.unknown:
                    return "550 no such mailbox"
                envelope.rcpt_tos.append(address)
                return "250 OK"

            async def handle_DATA(self, _server, session, envelope):
                assert session.ssl is not None and session.authenticated
                with server.news:
                    server.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
                    server.recipients += envelope.rcpt_tos
                    server.news.notify_all()
                return "250 taken"

        def check(_server, _session, _envelope, _mechanism, data):
            good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"platform", b"correct horse")
            return AuthResult(success=good)

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)

        class Server(Controller):
            def factory(self):
                return SMTP(self.handler, hostname="localhost", tls_context=tls, require_starttls=True,
                            authenticator=check, auth_required=True)

        # The controller looks whether it can be reached at the port that it was given, so port 0 is no use.
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.controller = Server(Handler(), hostname="127.0.0.1", port=self.port)
        self.controller.start()

    def wait(self, count: int = 1, seconds: float = 20) -> list[email.message.EmailMessage]:
        end = time.monotonic() + seconds
        with self.news:
            while len(self.mails) < count:
                left = end - time.monotonic()
                assert left > 0, f"{len(self.mails)} of {count} mails within {seconds} s"
                self.news.wait(left)
            return list(self.mails)

    def close(self):
        self.controller.stop()

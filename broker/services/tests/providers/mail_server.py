"""A mail server of another maker, aiosmtpd, that wants STARTTLS and a name.

Arguments: its certificate and the key of it. The first line out is its port; then comes a line of JSON
for each mail that it has taken, as the module `email` of Python reads it. Each line in says what it does
next: `greylist`, it knows no recipient at first; `cut`, it ends the connection in the middle of a mail;
`fill`, it takes nothing as large as a mail. Each is answered by `ok`.
"""

import asyncio
import email
import email.policy
import json
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

# It complains of what is cut off in the middle, and of who does not trust it.
logging.disable(logging.CRITICAL)
NAME, PASSWORD = b"shop", "pä:ss/w@rd".encode()


class Handler:
    def __init__(self):
        self.orders = set()
        self.known = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if "greylist" in self.orders and address not in self.known:
            self.known.add(address)
            return "451 4.7.1 Greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = [part for part in mail.walk() if not part.is_multipart()]
        told = {
            "is_encrypted": session.ssl is not None,
            "name": session.auth_data.login.decode(),
            "envelope": [envelope.mail_from, envelope.rcpt_tos],
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "parts": {part.get_content_type(): part.get_content() for part in parts},
            "faults": [str(fault) for part in mail.walk() for fault in part.defects],
        }
        print(json.dumps(told), flush=True)
        return "250 2.0.0 Taken as m1"


class Server(SMTP):
    async def smtp_DATA(self, arg):
        orders = self.event_handler.orders
        if "cut" in orders:
            orders.remove("cut")
            await self.push("354 Go on")
            await self._reader.readline()
            self.transport.abort()
            return
        self.data_size_limit = 10 if "fill" in orders else None
        orders.discard("fill")
        await super().smtp_DATA(arg)


def is_shop(server, session, envelope, mechanism, data):
    if (data.login, data.password) == (NAME, PASSWORD):
        return AuthResult(success=True, auth_data=data)
    return AuthResult(success=False, handled=False)


async def main(certificate, key):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    handler = Handler()

    def serve():
        return Server(
            handler,
            hostname="mail.example",
            tls_context=tls,
            require_starttls=True,
            auth_required=True,
            authenticator=is_shop,
            enable_SMTPUTF8=True,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while order := await loop.run_in_executor(None, sys.stdin.readline):
        handler.orders.add(order.strip())
        print("ok", flush=True)


asyncio.run(main(*sys.argv[1:]))

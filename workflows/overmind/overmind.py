#!/usr/bin/env python3
"""The platform's producers and consumers in Python 3.8 or newer, with nothing but the standard library.

    python3 overmind.py publish routing.model.selected < decisions.jsonl
    python3 overmind.py consume routing-decisions api-consumer --count 10

The server is NATS_URL, with NATS_TOKEN where it asks for one. There is no TLS: reach a server elsewhere through a
tunnel. What is said on the wire is https://docs.nats.io/reference/reference-protocols/nats-protocol and nothing more.
"""

import argparse
import json
import os
import re
import select
import socket
import sys
import time
import urllib.parse
import uuid

# Who publishes the same message again within the stream's window is told that it is there already.
ID_FIELDS = ("requestId", "eventId")


class OvermindError(Exception):
    """Says what the server, or nobody, answered."""


class Message:
    """One delivery. It must be answered: with `ack`, `nak` (again, please) or `term` (never again)."""

    def __init__(self, client, subject, reply, headers, data):
        self._client = client
        self._reply = reply
        self.subject = subject
        self.headers = headers
        self.data = data
        # $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>, or with a
        # domain and an account before the stream.
        tokens = reply.split(".")
        start = 2 if len(tokens) == 9 else 4
        self.stream, self.consumer = tokens[start], tokens[start + 1]
        self.deliveries, self.sequence = int(tokens[start + 2]), int(tokens[start + 3])

    def json(self):
        return json.loads(self.data)

    def ack(self):
        self._answer("+ACK")

    def nak(self, delay_s=None):
        self._answer("-NAK" if delay_s is None else "-NAK " + json.dumps({"delay": int(delay_s * 1e9)}))

    def term(self, reason=""):
        self._answer(f"+TERM {reason}".strip())

    def working(self):
        """For work that takes longer than the consumer's ack wait: says that it goes on."""
        self._client.send_message(self._reply, b"+WPI")

    def _answer(self, text):
        # The server confirms it, so that nothing is lost in a connection that is closed right afterwards.
        self._client.request(self._reply, text.encode())


class Overmind:
    def __init__(self, url=None, token=None, timeout_s=5):
        parts = urllib.parse.urlsplit(url or os.environ.get("NATS_URL") or "nats://localhost:4222")
        self.timeout_s = timeout_s
        self._buffer = bytearray()
        self._inbox = f"_INBOX.{uuid.uuid4().hex}"
        self._last_sid = 0
        self._socket = socket.create_connection((parts.hostname or "localhost", parts.port or 4222), timeout=timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "python"}
        token = token or os.environ.get("NATS_TOKEN")
        if token:
            options["auth_token"] = token
        elif parts.password:
            user, password = (urllib.parse.unquote(part or "") for part in (parts.username, parts.password))
            options.update(user=user, **{"pass": password})
        elif parts.username:
            options["auth_token"] = urllib.parse.unquote(parts.username)
        self._ponged = False
        self._send(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
        deadline = time.monotonic() + timeout_s
        while not self._ponged:
            self._receive(deadline)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._socket.close()

    def publish(self, subject, body, message_id=None):
        """Resolves when the stream has it: {"stream", "seq"} and "duplicate" where it was there already."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if message_id is None and isinstance(body, dict):
            message_id = next((f"{subject}:{body[field]}" for field in ID_FIELDS if field in body), None)
        headers = {} if message_id is None else {"Nats-Msg-Id": message_id}
        answer = json.loads(self.request(subject, data, headers))
        if "error" in answer:
            raise OvermindError(f"{subject} was not stored: {answer['error'].get('description')}")
        return answer

    def fetch(self, stream, consumer, batch=1, expires_s=5):
        """The next messages of a durable consumer, `batch` of them at most; fewer, or none, when the time is up."""
        order = json.dumps({"batch": batch, "expires": int(expires_s * 1e9)}).encode()
        messages = []
        # The server says when the time is up; the second more is for its saying so.
        for subject, reply, headers, status, data in self._ask(
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", order, None, expires_s + 1
        ):
            if status in ("404", "408"):
                break
            if status is not None:
                raise OvermindError(f"consumer {consumer} of stream {stream} answered {status}")
            messages.append(Message(self, subject, reply, headers, data))
            if len(messages) == batch:
                break
        return messages

    def request(self, subject, data, headers=None):
        for _, _, _, status, answer in self._ask(subject, data, headers, self.timeout_s):
            if status == "503":
                raise OvermindError(f"nobody listens on {subject}: is there a stream for it?")
            return answer

    def _ask(self, subject, data, headers, wait_s):
        """Yields each answer. They are known by the subscription: a stored message comes under its own subject."""
        self._last_sid += 1
        sid = str(self._last_sid)
        reply = f"{self._inbox}.{sid}"
        self._send(f"SUB {reply} {sid}\r\n".encode())
        deadline = time.monotonic() + wait_s
        try:
            self.send_message(subject, data, reply, headers)
            while True:
                for to, *answer in self._receive(deadline):
                    if to == sid:
                        yield answer
        finally:
            self._send(f"UNSUB {sid}\r\n".encode())

    def send_message(self, subject, data, reply="", headers=None):
        # A name with a blank or a line end in it would be taken for the protocol.
        if not re.fullmatch(r"[^\s*>]+", subject):
            raise OvermindError(f"{subject!r} is no subject to publish on")
        if not headers:
            self._send(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data + b"\r\n")
            return
        lines = "".join(f"{name}: {one_line(value)}\r\n" for name, value in headers.items())
        head = f"NATS/1.0\r\n{lines}\r\n".encode()
        self._send(f"HPUB {subject} {reply} {len(head)} {len(head) + len(data)}\r\n".encode() + head + data + b"\r\n")

    def _send(self, data):
        self._socket.sendall(data)

    def _receive(self, deadline):
        """Waits for bytes and gives the messages that are whole then: (sid, subject, reply, headers, status, data)."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._socket], [], [], left)[0]:
            raise OvermindError("no answer in time")
        chunk = self._socket.recv(65_536)
        if not chunk:
            raise OvermindError("the server closed the connection")
        self._buffer += chunk
        messages = []
        while True:
            line, found, _ = self._buffer.partition(b"\r\n")
            if not found:
                return messages
            words = line.decode().split()
            operation = words[0].upper() if words else ""
            if operation not in ("MSG", "HMSG"):
                del self._buffer[: len(line) + 2]
                self._handle(operation, line)
                continue
            # MSG <subject> <sid> [reply] <bytes>, or HMSG <subject> <sid> [reply] <header bytes> <bytes>
            start, size = len(line) + 2, int(words[-1])
            if len(self._buffer) < start + size + 2:
                return messages
            payload = bytes(self._buffer[start : start + size])
            del self._buffer[: start + size + 2]
            sizes = 2 if operation == "HMSG" else 1
            head_size = int(words[-2]) if sizes == 2 else 0
            reply = words[3] if len(words) == 4 + sizes else ""
            headers, status = parse_headers(payload[:head_size])
            messages.append((words[2], words[1], reply, headers, status, payload[head_size:]))

    def _handle(self, operation, line):
        if operation == "PING":
            self._send(b"PONG\r\n")
        elif operation == "PONG":
            self._ponged = True
        elif operation == "-ERR":
            raise OvermindError(f"the server says {line[5:].decode()}")


def parse_headers(head):
    """`NATS/1.0 503` and lines of `Name: value`."""
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    status = first[8:].strip().split(" ")[0] or None
    return dict(re.split(r":\s*", line, maxsplit=1) for line in lines if ":" in line), status


def one_line(text):
    return re.sub(r"[\r\n]+", " ", str(text))


def publish_lines(client, options):
    """One message for each line of JSON on stdin; says of each where it is stored."""
    for line in sys.stdin:
        if line.strip():
            print(json.dumps(client.publish(options.subject, json.loads(line))), flush=True)


def consume(client, options):
    left = options.count
    while left > 0:
        messages = client.fetch(options.stream, options.consumer, min(left, options.batch), options.wait)
        if not messages:
            return
        for message in messages:
            left -= 1
            shown = {"subject": message.subject, "sequence": message.sequence, "deliveries": message.deliveries}
            try:
                shown["body"] = message.json()
            except ValueError:
                shown["text"] = message.data.decode("utf-8", "replace")
            print(json.dumps(shown), flush=True)
            getattr(message, options.answer)()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("publish", help="one message for each line of JSON on stdin")
    command.add_argument("subject")
    command.set_defaults(run=publish_lines)
    command = commands.add_parser("consume", help="prints messages as lines of JSON and answers each")
    command.add_argument("stream")
    command.add_argument("consumer")
    command.add_argument("--count", type=int, default=sys.maxsize, help="ends after so many; default: no limit")
    command.add_argument("--batch", type=int, default=100)
    command.add_argument("--wait", type=float, default=1, help="seconds without a message that end it; default 1")
    command.add_argument("--answer", choices=["ack", "nak", "term"], default="ack")
    command.set_defaults(run=consume)
    options = parser.parse_args()
    try:
        with Overmind() as client:
            options.run(client, options)
    except (OvermindError, OSError, ValueError) as fault:
        sys.exit(f"overmind: {fault}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The platform's producers and consumers in Python 3.8 or newer, with nothing but the standard library.

    python3 overmind.py publish routing.model.selected < decisions.jsonl
    python3 overmind.py consume routing-decisions api-consumer --count 10

The server is NATS_URL, with NATS_TOKEN where it asks for one. There is no TLS: reach a server elsewhere through a
tunnel. What is said on the wire is https://docs.nats.io/reference/reference-protocols/nats-protocol and nothing more.
"""

import argparse
import base64
import hashlib
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
ID_LENGTH_MAX = 128
# A lost connection is made anew, and what was asked is asked again, for so long.
RECONNECT_S = 60
RECONNECT_WAIT_S = 0.5
LOSSES = ("stale connection", "slow consumer", "server shutdown", "leadership change", "drained")


class OvermindError(Exception):
    """Says what the server, or nobody, answered."""


class ConnectionLost(OvermindError):
    """Said to whoever has waited for it to come back long enough."""


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
        self._answer("+WPI")

    def _answer(self, text):
        # The server confirms it, so that nothing is lost in a connection that is closed right afterwards.
        self._client.request(self._reply, text.encode())


class Overmind:
    def __init__(self, url=None, token=None, timeout_s=5):
        self._parts = urllib.parse.urlsplit(url or os.environ.get("NATS_URL") or "nats://localhost:4222")
        self._token = token or os.environ.get("NATS_TOKEN")
        self.timeout_s = timeout_s
        self._inbox = f"_INBOX.{uuid.uuid4().hex}"
        self._last_sid = 0
        self._socket = None
        self._connect()

    def _connect(self):
        parts, token = self._parts, self._token
        address = (parts.hostname or "localhost", parts.port or 4222)
        self._buffer = bytearray()
        self._bytes_max = None
        self._socket = socket.create_connection(address, timeout=self.timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "python"}
        if token:
            options["auth_token"] = token
        elif parts.password:
            user, password = (urllib.parse.unquote(part or "") for part in (parts.username, parts.password))
            options.update(user=user, **{"pass": password})
        elif parts.username:
            options["auth_token"] = urllib.parse.unquote(parts.username)
        self._ponged = False
        self._send(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
        deadline = time.monotonic() + self.timeout_s
        while not self._ponged:
            self._receive(deadline)

    def _drop(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._drop()

    def publish(self, subject, body, message_id=None, headers=None):
        """Resolves when the stream has it: {"stream", "seq"} and "duplicate" where it was there already."""
        data = body if isinstance(body, bytes) else json.dumps(body, allow_nan=False).encode()
        if message_id is None and isinstance(body, dict):
            given = (body.get(field) for field in ID_FIELDS)
            message_id = next((f"{subject}:{header_id(text)}" for text in given if isinstance(text, str)), None)
        # One that has no id gets one: it may have to be sent again.
        headers = {**(headers or {}), "Nats-Msg-Id": message_id or uuid.uuid4().hex}
        answer = json.loads(self.request(subject, data, headers))
        if "error" in answer:
            raise OvermindError(f"{subject} was not stored: {answer['error'].get('description')}")
        return answer

    def fetch(self, stream, consumer, batch=1, expires_s=5):
        """The next messages of a durable consumer, `batch` of them at most; fewer, or none, when the time is up."""
        order = json.dumps({"batch": batch, "expires": int(expires_s * 1e9)}).encode()
        messages = []
        api = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        try:
            # The server says when the time is up; the second more is for its saying so.
            for subject, reply, headers, status, data in self._ask(api, order, None, expires_s + 1):
                if status is not None and status[:3] in ("404", "408"):
                    break
                if status is not None:
                    raise OvermindError(f"consumer {consumer} of stream {stream} answered {status}")
                messages.append(Message(self, subject, reply, headers, data))
                if len(messages) == batch:
                    break
        except (OvermindError, OSError):
            # What came is handled all the same; whoever asks for more is told.
            if not messages:
                raise
        return messages

    def request(self, subject, data, headers=None):
        for _, _, _, status, answer in self._ask(subject, data, headers, self.timeout_s):
            if status is not None and status.startswith("503"):
                raise OvermindError(f"nobody listens on {subject}: is there a stream for it?")
            return answer

    def _ask(self, subject, data, headers, wait_s):
        """Yields each answer. Until the first one, a connection that is lost is made anew and the question put again."""
        give_up_at = time.monotonic() + RECONNECT_S
        was_lost = was_answered = False
        while True:
            try:
                if self._socket is None:
                    self._connect()
                for answer in self._ask_once(subject, data, headers, wait_s):
                    status = (answer[3] or "").lower()
                    # A server that has just come back does not know its streams yet.
                    if any(loss in status for loss in LOSSES) or (was_lost and status.startswith("503")):
                        raise ConnectionLost(f"{subject} answered {status}")
                    was_answered = True
                    yield answer
            except (ConnectionLost, OSError):
                self._drop()
                if was_answered or time.monotonic() >= give_up_at:
                    raise
                was_lost = True
                time.sleep(RECONNECT_WAIT_S)

    def _ask_once(self, subject, data, headers, wait_s):
        """Answers are known by the subscription: a stored message comes under its own subject."""
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
                        deadline = time.monotonic() + wait_s
                        yield answer
        finally:
            if self._socket is not None:
                self._send(f"UNSUB {sid}\r\n".encode())

    def send_message(self, subject, data, reply="", headers=None):
        # A name with a blank or a line end in it would be taken for the protocol.
        if not re.fullmatch(r"[^\s*>]+", subject):
            raise OvermindError(f"{subject!r} is no subject to publish on")
        lines = "".join(f"{one_line(name)}: {one_line(value)}\r\n" for name, value in (headers or {}).items())
        head = f"NATS/1.0\r\n{lines}\r\n".encode() if lines else b""
        if self._bytes_max is not None and len(head) + len(data) > self._bytes_max:
            raise OvermindError(f"{subject} was not published: the server takes {self._bytes_max} bytes at most")
        if not head:
            self._send(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data + b"\r\n")
            return
        self._send(f"HPUB {subject} {reply} {len(head)} {len(head) + len(data)}\r\n".encode() + head + data + b"\r\n")

    def _send(self, data):
        self._socket.sendall(data)

    def _receive(self, deadline):
        """Waits for bytes and gives the messages that are whole then: (sid, subject, reply, headers, status, data)."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._socket], [], [], left)[0]:
            # Perhaps it is lost, and nobody has said so: the next question begins with a new one.
            self._drop()
            raise OvermindError("no answer in time")
        chunk = self._socket.recv(65_536)
        if not chunk:
            raise ConnectionLost("the server closed the connection")
        self._buffer += chunk
        messages = []
        while True:
            line, found, _ = self._buffer.partition(b"\r\n")
            if not found:
                return messages
            # As bytes: a subject may hold what is a blank elsewhere.
            words = [word.decode("utf-8", "replace") for word in line.split()]
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
            self._drop()
            said = line[5:].decode("utf-8", "replace")
            fault = ConnectionLost if any(loss in said.lower() for loss in LOSSES) else OvermindError
            raise fault(f"the server says {said}")
        elif operation == "INFO":
            self._bytes_max = json.loads(line[5:]).get("max_payload")


def parse_headers(head):
    """`NATS/1.0 503` and lines of `Name: value`."""
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    status = first[8:].strip() or None
    return dict(re.split(r":\s*", line, maxsplit=1) for line in lines if ":" in line), status


def header_id(text):
    """As it is, where a header can carry it; two that only differ in what it cannot carry are not the same."""
    is_long = len(text.encode("utf-16-le", "surrogatepass")) > 2 * ID_LENGTH_MAX
    if not is_long and not re.search(r"[\r\n]|^[ \t]|[ \t]\Z", text):
        return text
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256:" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


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

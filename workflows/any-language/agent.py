#!/usr/bin/env python3
"""An agent for Perdure in Python 3.8 or newer, with nothing but the standard library.

    python3 agent.py --id python-1 --server nats://127.0.0.1:4222

To make it yours, copy the file, replace the functions under "What this agent does" and leave the rest. What is said
on the wire, and why, is in docs/wire-protocol.md; the names here are the names there.

One thread talks to NATS and owns all state; each task runs in a thread of its own and says what came of it through a
queue. There is no TLS: reach a server elsewhere through a tunnel, or through a leaf node on this machine.
"""

import argparse
import collections
import contextlib
import json
import os
import queue
import random
import re
import select
import signal
import socket
import sys
import threading
import time
import urllib.parse
import uuid

# ---------------------------------------------------------------------------------------------- What this agent does


class TaskError(Exception):
    """What a task raises to fail under a type of its own; retry policies match on it."""

    def __init__(self, error_type, message, retryable=True):
        super().__init__(message)
        self.type = error_type
        self.retryable = retryable


class Stopped(Exception):
    """Raised by `task.check()` once the task is to stop. Let it pass."""


def text_of(task):
    text = task.input.get("text") if isinstance(task.input, dict) else None
    if not isinstance(text, str):
        # Asking again with the same input would not help.
        raise TaskError("TASK_INPUT_INVALID", 'the input must be {"text": "..."}', retryable=False)
    return text


def text_words(task):
    """The words of a text, the most frequent first."""
    words = re.findall(r"\w+", text_of(task).lower())
    top = task.input.get("top", 3)
    return {"total": len(words), "top": collections.Counter(words).most_common(top)}


def text_report(task):
    """Joins what the tasks it depends on came to; their languages make no difference here."""
    lines = [f"{name}: {json.dumps(result)}" for name, result in sorted(task.dependency_results.items())]
    return {"text": "".join(line + "\n" for line in lines)}


def text_echo(task):
    """Gives the input back as it came."""
    return task.input


def nap(task):
    """Takes its time, says how far it is and stops when it is told to."""
    seconds = task.input.get("seconds") if isinstance(task.input, dict) else None
    if not isinstance(seconds, (int, float)) or seconds < 0:
        raise TaskError("TASK_INPUT_INVALID", 'the input must be {"seconds": 3}', retryable=False)
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        task.sleep(min(0.5, ends_at - time.monotonic()))
        task.progress({"secondsLeft": round(max(0, ends_at - time.monotonic()), 1)})
    return {"slept": seconds}


TASKS = {"text-words": text_words, "text-report": text_report, "text-echo": text_echo, "nap": nap}

# --------------------------------------------------------------------------------------------------- How it does it

FIELD_BYTES_MAX = 131_072
MESSAGE_MAX = 8_192
# Answered attempts that are remembered, in case one is assigned again.
ANSWERED_MAX = 1_000
REGISTER_AGAIN_S = 2
RESULT_AGAIN_S = 2
RECONNECT_S = 1
# The same registration would meet them again.
REFUSED_FOR_GOOD = ("INVALID_MESSAGE", "INVALID_ID", "PAYLOAD_TOO_LARGE", "PERMISSION_DENIED")
# A connection that says nothing for so long, our own pings included, is dead.
PING_S = 5
DEAD_S = 15
# As the orchestrator counts: it has given this agent's work away by then.
LOST_AFTER_INTERVALS = 6


class Nats:
    """One connection. https://docs.nats.io/reference/reference-protocols/nats-protocol is all there is to it."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url if "//" in url else "nats://" + url)
        self.socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 4222), timeout=5)
        # Also bounds a write to a server that does not read.
        self.socket.settimeout(10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.max_payload = None  # as INFO says
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "python"}
        user, password = (urllib.parse.unquote(part or "") for part in (parts.username, parts.password))
        if user and password:
            options.update(user=user, **{"pass": password})
        elif user:
            options.update(auth_token=user)
        self.send(f"CONNECT {json.dumps(options)}\r\n")

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def publish(self, subject, body, reply=""):
        self.send(f"PUB {subject} {reply} {len(body)}\r\n".encode() + body + b"\r\n")

    def receive(self):
        """Reads once and yields the messages that are complete by then: (subject, headers, status, body)."""
        chunk = self.socket.recv(65_536)
        if not chunk:
            raise OSError("the server closed the connection")
        self.buffer += chunk
        while True:
            line, found, _ = self.buffer.partition(b"\r\n")
            if not found:
                return
            words = line.split()
            operation = bytes(words[0]).upper() if words else b""
            if operation in (b"MSG", b"HMSG"):
                start, size = len(line) + 2, int(words[-1])
                if len(self.buffer) < start + size + 2:
                    return
                payload = bytes(self.buffer[start : start + size])
                del self.buffer[: start + size + 2]
                head_size = int(words[-2]) if operation == b"HMSG" else 0
                headers, status = parse_headers(payload[:head_size])
                yield words[1].decode(), headers, status, payload[head_size:]
                continue
            del self.buffer[: len(line) + 2]
            if operation == b"PING":
                self.send("PONG\r\n")
            elif operation == b"INFO":
                self.max_payload = json.loads(line[5:])["max_payload"]
            elif operation == b"-ERR":
                log(f"the server says {line.decode()}")

    def close(self):
        self.socket.close()


def parse_headers(head):
    """`NATS/1.0 503` and lines of `Name: value`; the status says that nobody listens."""
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    status = first[8:].strip().split(" ")[0] or None
    return dict(re.split(r":\s*", line, maxsplit=1) for line in lines if ":" in line), status


class Attempt:
    """A task in hand, as its function sees it."""

    def __init__(self, assignment, traceparent, say):
        self.task_id = assignment["taskId"]
        self.type = assignment["type"]
        self.input = assignment.get("input")
        self.attempt = assignment["attempt"]
        self.token = assignment["token"]
        self.dependency_results = assignment.get("dependencyResults", {})
        self.metadata = assignment.get("metadata", {})
        self.traceparent = traceparent
        self.started_at = time.monotonic()
        # What becomes of it if it stops: "cancelled", "released" or "dropped".
        self.stop_as = None
        self._stop = threading.Event()
        self._say = say

    def progress(self, value):
        self._say("progress", self, sendable(value))

    def check(self):
        if self._stop.is_set():
            raise Stopped

    def sleep(self, seconds):
        if self._stop.wait(max(0, seconds)):
            raise Stopped

    def stop(self, stop_as):
        self.stop_as = self.stop_as or stop_as
        self._stop.set()


def sendable(value):
    """A copy of a value as JSON has it. Raises what fails the task, in the task's own thread, where there is none."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    size = len(text.encode("utf-8", "replace"))
    if size > FIELD_BYTES_MAX:
        message = f"it has {size} bytes of JSON, and {FIELD_BYTES_MAX} are allowed; return a reference to it"
        raise TaskError("PAYLOAD_TOO_LARGE", message, retryable=False)
    return json.loads(text)


class Agent:
    def __init__(self, options):
        self.options = options
        self.instance_id = uuid.uuid4().hex
        # An inbox that begins with the agent's id can be guarded by permissions.
        self.inbox = f"_INBOX_a_{options.id}.{uuid.uuid4().hex}"
        self.prefix = f"{options.namespace}.agent.{options.id}"
        self.nats = None
        self.incarnation = None
        self.registering = True
        self.interval_s = 1.0
        self.max_payload = 1_048_576
        self.in_hand = {}  # token -> Attempt
        self.unacknowledged = {}  # token -> (where the acknowledgement comes, result message)
        self.answered = collections.OrderedDict()  # the same, once acknowledged
        self.released = {}  # token -> task id, until the orchestrator has taken it back
        self.acknowledged_at = {}  # where the acknowledgement of a result comes -> token
        self.beats = collections.OrderedDict()  # where the answer comes -> (sent at, as incarnation)
        self.said = queue.SimpleQueue()  # one that a signal handler may use, too
        self.wake, self.waker = socket.socketpair()
        self.wake.setblocking(False)
        self.waker.setblocking(False)
        self.due = {"register": 0.0, "beat": 0.0, "results": 0.0, "ping": 0.0}
        self.heard_at = self.answered_at = time.monotonic()
        self.drain_by = None
        self.exit_code = None

    # ------------------------------------------------------------------------------------------------ Its life

    def run(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.say("drain", None))
        unreachable_since = time.monotonic()
        while self.exit_code is None:
            try:
                self.nats = Nats(self.options.server)
                unreachable_since = None
                self.converse()
            except (OSError, ValueError) as fault:
                log(f"no connection to {self.options.server.rpartition('@')[2]}: {fault}")
                unreachable_since = unreachable_since or time.monotonic()
            finally:
                if self.nats is not None:
                    self.nats.close()
                    self.nats = None
            if self.exit_code is None:
                self.pause(unreachable_since or time.monotonic())
        return self.exit_code

    def pause(self, unreachable_since):
        """Between two connections. Tasks go on, and a drain may end here."""
        select.select([self.wake], [], [], RECONNECT_S * random.uniform(0.8, 1.2))
        self.hear_tasks()
        now = time.monotonic()
        self.stop_if_unanswered(now)
        give_up = self.options.give_up_after
        if give_up is not None and now - unreachable_since > give_up:
            self.end(1, f"no server for {give_up} s")
        if self.drain_by is not None and now > self.drain_by:
            self.end(1, "went down without a server; unacknowledged results will cost another attempt")

    def converse(self):
        """From a new connection to its loss. Subscriptions come first, so that no answer can be missed."""
        for number, subject in enumerate([f"{self.prefix}.task", f"{self.prefix}.status", f"{self.inbox}.>"], 1):
            self.nats.send(f"SUB {subject} {number}\r\n")
        self.heard_at = time.monotonic()
        self.due = dict.fromkeys(self.due, 0.0)
        while self.exit_code is None:
            self.do_what_is_due(time.monotonic())
            readable, _, _ = select.select([self.nats.socket, self.wake], [], [], 0.1)
            if self.wake in readable:
                self.hear_tasks()
            if self.nats.socket in readable:
                self.heard_at = time.monotonic()
                for subject, headers, status, body in self.nats.receive():
                    self.handle(subject, headers, status, body)
                self.max_payload = self.nats.max_payload or self.max_payload

    def do_what_is_due(self, now):
        if now - self.heard_at > DEAD_S:
            raise OSError("the server says nothing any more")
        if self.is_due("ping", now, PING_S):
            self.nats.send("PING\r\n")
        if self.registering and self.is_due("register", now, REGISTER_AGAIN_S):
            self.register()
        if not self.registering and self.is_due("beat", now, self.interval_s * random.uniform(0.9, 1.0)):
            self.heartbeat(now)
        if self.is_due("results", now, RESULT_AGAIN_S):
            for token in self.unacknowledged:
                self.hand_in(token)
        self.stop_if_unanswered(now)
        if self.drain_by is not None:
            self.go_on_draining(now)

    def stop_if_unanswered(self, now):
        """The orchestrator, if there is one, has given this agent's work to others by then."""
        at_work = any(attempt.stop_as is None for attempt in self.in_hand.values())
        if at_work and now - self.answered_at > LOST_AFTER_INTERVALS * self.interval_s:
            log("no orchestrator has answered for six intervals; stops its work")
            self.stop_all("released")

    def is_due(self, what, now, again_s):
        if now < self.due[what]:
            return False
        self.due[what] = now + again_s
        return True

    def end(self, exit_code, why):
        log(why)
        self.exit_code = exit_code

    def start_draining(self):
        hurry = self.drain_by is not None
        self.drain_by = time.monotonic() + (0 if hurry else self.options.drain_timeout)
        log("drains")
        if self.nats is not None and not self.registering:
            self.report("draining")

    def go_on_draining(self, now):
        if now > self.drain_by and self.in_hand:
            for attempt in list(self.in_hand.values()):
                attempt.stop("dropped")
                self.hand_back(attempt.token, attempt.task_id)
            self.in_hand.clear()
        if self.in_hand or (self.unacknowledged and now < self.drain_by + RESULT_AGAIN_S):
            return
        if not self.registering:
            self.report("idle")
        self.nats.send("PING\r\n")
        # The answer to the ping says that the server has the goodbye.
        select.select([self.nats.socket], [], [], 2)
        self.end(0, "has drained")

    # ------------------------------------------------------------------------------------------ What it says

    def message(self, **fields):
        return json.dumps({"messageId": str(uuid.uuid4()), "timestamp": int(time.time() * 1000), **fields}).encode()

    def new_reply(self):
        return f"{self.inbox}.{uuid.uuid4().hex}"

    def register(self):
        registration = {
            "agentId": self.options.id,
            "instanceId": self.instance_id,
            "capabilities": list(TASKS),
            "maxConcurrentTasks": self.options.slots,
            "metadata": {"language": "python", "version": sys.version.split()[0]},
        }
        body = self.message(registration=registration)
        self.nats.publish(f"{self.options.namespace}.agent.register", body, f"{self.inbox}.register")

    def heartbeat(self, now):
        for token, task_id in self.released.items():
            self.report("released", taskId=task_id, token=token)
        body = self.message(
            agentId=self.options.id,
            metrics={"activeTasks": len(self.in_hand)},
            incarnation=self.incarnation,
            tokens=[*self.in_hand, *self.unacknowledged, *self.released],
        )
        reply = self.new_reply()
        self.beats[reply] = (now, self.incarnation)
        if len(self.beats) > 10:
            self.beats.popitem(last=False)  # was never answered
        self.nats.publish(f"{self.prefix}.heartbeat", body, reply)

    def report(self, state, **more):
        status = {"agentId": self.options.id, "state": state, "incarnation": self.incarnation, **more}
        self.nats.publish(f"{self.prefix}.status", self.message(status=status))

    def hand_back(self, token, task_id):
        self.released[token] = task_id
        self.report("released", taskId=task_id, token=token)

    def answer(self, attempt, status, **more):
        result = {
            "taskId": attempt.task_id,
            "attempt": attempt.attempt,
            "token": attempt.token,
            "agentId": self.options.id,
            "incarnation": self.incarnation,
            "status": status,
            "durationMs": round((time.monotonic() - attempt.started_at) * 1000),
            **more,
        }
        body = self.message(result=result)
        if len(body) > self.max_payload:
            # The server would end the connection, and again each time this is sent.
            too_large = {"type": "PAYLOAD_TOO_LARGE", "message": f"the result has {len(body)} bytes", "nonRetryable": True}
            self.answer(attempt, "failed", error=too_large)
            return
        reply = self.new_reply()
        self.acknowledged_at[reply] = attempt.token
        self.unacknowledged[attempt.token] = (reply, body)
        if self.nats is not None:
            self.hand_in(attempt.token)

    def hand_in(self, token):
        """The same bytes each time, until the stream has acknowledged them."""
        reply, body = self.unacknowledged[token]
        self.nats.publish(f"{self.prefix}.result", body, reply)

    # ---------------------------------------------------------------------------------------- What it hears

    def handle(self, subject, headers, status, body):
        if status is not None:
            return  # 503, nobody listens: whatever it was is said again when its time comes
        try:
            self.hear(subject, headers, json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
            log(f"ignored what cannot be read on {subject}: {type(fault).__name__} {fault}")

    def hear(self, subject, headers, message):
        if subject == f"{self.prefix}.task":
            self.take(message["task"], headers.get("traceparent"))
        elif subject == f"{self.prefix}.status":
            self.obey(message["status"])
        elif subject == f"{self.inbox}.register":
            self.hear_registration(message)
        elif subject in self.acknowledged_at:
            self.hear_acknowledgement(subject, message)
        elif subject in self.beats:
            self.hear_heartbeat_answer(*self.beats.pop(subject), message)

    def hear_registration(self, message):
        status, error = message.get("status"), message.get("error")
        if error is not None and error["code"] in REFUSED_FOR_GOOD:
            self.end(1, f"the registration was refused: {error}")
        elif status is not None and self.registering:
            self.registering = False
            self.incarnation = status["incarnation"]
            self.interval_s = status["heartbeatIntervalMs"] / 1000
            self.answered_at = time.monotonic()
            log(f"registered as incarnation {self.incarnation}")
            print(f"registered {self.options.id}", flush=True)
            if self.drain_by is not None:
                self.report("draining")

    def hear_heartbeat_answer(self, sent_at, sent_as, message):
        status = message.get("status")
        if status is None or self.registering or sent_as != self.incarnation:
            return
        self.answered_at = max(self.answered_at, sent_at)
        for token in message.get("cancel", []):
            self.released.pop(token, None)
            if token in self.in_hand:
                self.in_hand[token].stop("dropped")
        if status["state"] == "superseded":
            self.stop_all("dropped")
            self.end(1, "another process has registered under this id; give each process an id of its own")
        elif status["state"] == "reregister":
            self.stop_all("dropped")
            self.registering = True
            self.due["register"] = 0.0

    def obey(self, status):
        """An order to whoever has this id; our own words come back here too and are no orders."""
        state = status["state"]
        if status["agentId"] != self.options.id:
            return  # an answer to another agent, which had it sent here
        if state == "cancel" and status.get("token") in self.in_hand:
            self.in_hand[status["token"]].stop("cancelled")
        elif state in ("superseded", "reregister"):
            self.due["beat"] = 0.0  # may be meant for another process of this id: the answer to a heartbeat tells

    def hear_acknowledgement(self, reply, message):
        token = self.acknowledged_at[reply]
        if "seq" not in message or token not in self.unacknowledged:
            return  # `error` instead of `seq`: the stream has not got it
        self.answered[token] = self.unacknowledged.pop(token)
        if len(self.answered) > ANSWERED_MAX:
            _, (forgotten, _) = self.answered.popitem(last=False)
            del self.acknowledged_at[forgotten]

    def take(self, assignment, traceparent):
        attempt = Attempt(assignment, traceparent, self.say)
        token = attempt.token
        if assignment.get("incarnation", self.incarnation) != self.incarnation:
            log(f"left task {attempt.task_id} to incarnation {assignment['incarnation']}")
        elif token in self.in_hand:
            self.report("accepted", taskId=attempt.task_id, token=token)
        elif token in self.unacknowledged or token in self.answered:
            if token in self.answered:
                self.unacknowledged[token] = self.answered.pop(token)
            self.hand_in(token)
        elif token in self.released or self.drain_by is not None or len(self.in_hand) >= self.options.slots:
            self.hand_back(token, attempt.task_id)
        elif attempt.type not in TASKS:
            self.answer(attempt, "failed", error={"type": "TASK_TYPE_UNKNOWN", "message": f"knows {', '.join(TASKS)}"})
        else:
            self.in_hand[token] = attempt
            self.report("accepted", taskId=attempt.task_id, token=token)
            threading.Thread(target=self.work, args=(attempt,), daemon=True).start()

    def stop_all(self, stop_as):
        for attempt in self.in_hand.values():
            attempt.stop(stop_as)

    # ------------------------------------------------------------------------------------------ Tasks' threads

    def work(self, attempt):
        try:
            self.say("completed", attempt, sendable(TASKS[attempt.type](attempt)))
        except Stopped:
            self.say("failed", attempt, {"type": "Stopped", "message": "it stopped without being told to"})
        except TaskError as error:
            failure = {"type": error.type, "message": str(error)[:MESSAGE_MAX], "nonRetryable": not error.retryable}
            self.say("failed", attempt, failure)
        except BaseException as error:  # whatever a task's function does is its result, sys.exit() too
            self.say("failed", attempt, {"type": type(error).__name__, "message": str(error)[:MESSAGE_MAX]})

    def say(self, what, attempt, value=None):
        self.said.put((what, attempt, value))
        with contextlib.suppress(BlockingIOError):  # then it is being woken already
            self.waker.send(b".")

    def hear_tasks(self):
        with contextlib.suppress(BlockingIOError):
            self.wake.recv(65_536)
        while not self.said.empty():
            what, attempt, value = self.said.get()
            if what == "drain":
                self.start_draining()
            elif attempt.token not in self.in_hand:
                continue  # handed back meanwhile
            elif what == "progress":
                if self.nats is not None and attempt.stop_as is None:
                    self.report("progress", taskId=attempt.task_id, token=attempt.token, progress=value)
            else:
                del self.in_hand[attempt.token]
                self.conclude(attempt, what, value)

    def conclude(self, attempt, what, value):
        if attempt.stop_as == "dropped":
            log(f"dropped what came of task {attempt.task_id}: it is not this agent's any more")
        elif what == "completed":
            self.answer(attempt, "completed", output=value)
        elif attempt.stop_as == "released":
            self.released[attempt.token] = attempt.task_id  # said with the next heartbeat
        elif attempt.stop_as == "cancelled":
            self.answer(attempt, "cancelled")
        else:
            self.answer(attempt, "failed", error=value)


def log(text):
    print(f"agent.py: {text}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description="An agent for Perdure.")
    parser.add_argument("--id", required=True, help="letters, digits, _ and -")
    # A password is better off in the environment: everybody on the machine can read a command line.
    parser.add_argument("--server", default=os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    parser.add_argument("--namespace", default="mcp")
    parser.add_argument("--slots", type=int, default=4, help="tasks in hand at a time")
    parser.add_argument("--drain-timeout", type=float, default=30, help="seconds for tasks to finish on SIGTERM")
    parser.add_argument("--give-up-after", type=float, help="seconds without a server after which to end; default never")
    sys.exit(Agent(parser.parse_args()).run())


if __name__ == "__main__":
    main()

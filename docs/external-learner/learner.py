#!/usr/bin/env python3
"""A learner outside P2PFaaS, with nothing but the standard library.

It speaks the protocol of the first P2PFaaS: a websocket for acting, POST /train_batch for training. It is tabular Sarsa
with average rewards, and a place to start from: put your own into the class Learner.

    python3 learner.py --port 8765 --train-port 19020 --actions 12
    p2pfaas sim scenario.yaml      # learner: {external: {act: "ws://127.0.0.1:8765", train: "http://127.0.0.1:19020"}}

With the same seed and the same messages it answers the same, so that a simulation can be repeated.
"""

import argparse
import base64
import hashlib
import json
import math
import random
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler


class Learner:
    """Sarsa with average rewards: Q moves by alpha * delta, the average reward by beta * delta."""

    def __init__(self, actions, seed, alpha=0.05, beta=0.01, epsilon=0.9, least=0.01, decay=0.999, patience=100):
        self.actions, self.random = actions, random.Random(seed)
        self.alpha, self.beta = alpha, beta
        self.epsilon, self.least, self.decay = epsilon, least, decay
        self.patience = patience  # entries that may wait behind a missing one
        self.q = {}  # state -> the value of each action
        self.average = 0.0
        self.waiting = {}  # eid -> (state, action, reward), not learned from yet
        self.next = 0  # the eid that is due

    def values(self, state):
        return self.q.setdefault(state, [0.0] * self.actions)

    def act(self, state):
        """Returns the action for a state, and how probable a random one was."""
        epsilon = self.epsilon
        self.epsilon = max(self.least, epsilon * self.decay)
        if self.random.random() < epsilon:
            return self.random.randrange(self.actions), epsilon
        values = self.values(state)
        best = max(values)
        return self.random.choice([a for a, v in enumerate(values) if v == best]), epsilon

    def train(self, entries):
        """Takes entries in any order, and learns from each one whose successor is there."""
        for eid, state, action, reward in entries:
            if eid >= self.next:  # otherwise it has been learned from, or given up
                self.waiting[eid] = (state, action, reward)
        while len(self.waiting) > 1:
            if self.next in self.waiting and self.next + 1 in self.waiting:
                self.learn(*self.waiting.pop(self.next), *self.waiting[self.next + 1][:2])
                self.next += 1
            elif len(self.waiting) > self.patience:  # the next one is lost: go on behind the gap
                self.waiting.pop(self.next, None)
                self.next = min(self.waiting)
            else:
                return

    def learn(self, state, action, reward, then, what):
        delta = reward - self.average + self.values(then)[what] - self.values(state)[action]
        self.values(state)[action] += self.alpha * delta
        self.average += self.beta * delta


def number(x):
    if not math.isfinite(x := float(x)):
        raise ValueError(f"{x} is no finite number")
    return x


def entry(e, actions):
    """Reads {"eid": 17, "state": "0,1,0", "action": 3, "reward": 1}."""
    action = int(number(e["action"]))
    if not 0 <= action < actions:
        raise ValueError(f"action {action} is none of {actions}: start the learner with more --actions")
    return int(e["eid"]), tuple(number(x) for x in e["state"].split(",") if x), action, number(e["reward"])


class Server(socketserver.ThreadingTCPServer):
    """Gives each connection a thread, and the learner one message at a time."""

    allow_reuse_address, daemon_threads, request_queue_size = True, True, 128
    turn = threading.Lock()  # one for both ports

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # the other side may go when it likes
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """GET opens a websocket (RFC 6455): each text message is a state, each answer "action,epsilon". POST trains."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # what is written is sent by flush, in one piece,
    disable_nagle_algorithm = True  # and at once

    def log_message(self, *_):
        pass  # a line for each request would be many

    def do_GET(self):
        key = self.headers.get("Sec-WebSocket-Key")
        if key is None:
            return self.reply(400, "there are a websocket and POST /train_batch")
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        self.close_connection = True  # when this method returns
        try:
            while self.serve(*self.receive()):
                pass
        except (ValueError, TypeError, RecursionError) as e:
            self.send(0x8, (1003).to_bytes(2, "big") + str(e).encode("ascii", "replace")[:100])

    def serve(self, kind, payload):
        """Answers a message; says whether the connection goes on."""
        if kind == 0x1:  # text
            state = tuple(number(x) for x in json.loads(payload))
            with self.server.turn:
                action, epsilon = self.server.learner.act(state)
            self.send(0x1, f"{action:.5f},{epsilon:.5f}".encode())
        elif kind == 0x8:  # close
            self.send(0x8, payload[:2])
        elif kind == 0x9:  # ping
            self.send(0xA, payload)
        elif kind != 0xA:  # pong
            raise ValueError("messages are text, and in one piece")
        return kind != 0x8

    def receive(self):
        """Reads a frame of a client: the kind of its message, and the message."""
        self.wfile.flush()
        first, second = self.read(2)
        kind, length = first & 0x0F, second & 0x7F
        if not first & 0x80 or not second & 0x80:
            raise ValueError("messages are in one piece, and masked")
        if kind < 0x8 and length >= 126:
            length = int.from_bytes(self.read(2 if length == 126 else 8), "big")
        if length > (1 << 20 if kind < 0x8 else 125):
            raise ValueError("the message is too long")
        mask = self.read(4)
        return kind, bytes(b ^ mask[i % 4] for i, b in enumerate(self.read(length)))

    def read(self, n):
        data = self.rfile.read(n)
        if len(data) < n:
            raise ConnectionError("the other side is gone")
        return data

    def send(self, kind, payload):
        self.wfile.write(bytes([0x80 | kind, len(payload)]) + payload)  # never more than 125 bytes

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/train_batch":
            return self.reply(404, "there is POST /train_batch")
        try:
            entries = [entry(e, self.server.learner.actions) for e in json.loads(body)]
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as e:
            return self.reply(500, f"nothing was learned: {e!r}")
        with self.server.turn:
            self.server.learner.train(entries)
        self.reply(200, "ok")

    def reply(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


def main():
    p = argparse.ArgumentParser(description="a learner for P2PFaaS")
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=8765, help="of the websocket; 0 = any")
    p.add_argument("--train-port", type=int, default=19020, help="of /train_batch; 0 = any")
    p.add_argument("--actions", type=int, default=14)
    p.add_argument("--seed", type=int, default=1)
    o = p.parse_args()
    Server.learner = Learner(o.actions, o.seed)
    act, train = Server((o.host, o.port), Handler), Server((o.host, o.train_port), Handler)
    print(f"ws://{o.host}:{act.server_address[1]} http://{o.host}:{train.server_address[1]}", flush=True)
    threading.Thread(target=train.serve_forever, daemon=True).start()
    try:
        act.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()

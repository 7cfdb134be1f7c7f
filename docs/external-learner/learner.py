#!/usr/bin/env python3
"""A learner outside P2PFaaS, with nothing but the standard library.

It speaks the protocol of the first P2PFaaS: a websocket for acting, POST /train_batch for training. It is tabular Sarsa
with average rewards, and a place to start from: put your own into the class Learner.

    python3 learner.py --port 8765 --train-port 19020 --actions 12
    p2pfaas sim scenario.yaml      # learner: {external: {act: "ws://127.0.0.1:8765", train: "http://127.0.0.1:19020"}}

With the same seed and the same messages it answers the same, so that a simulation can be repeated.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import random


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
            if eid >= self.next:
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


class Refused(Exception):
    """A message that is not understood; the connection is closed."""


async def websocket(learner, reader, writer):
    """Serves a connection: each text message is a state, each answer "action,epsilon" (RFC 6455)."""
    try:
        request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        key = next((line.split(":", 1)[1].strip() for line in request.split("\r\n")
                    if line.lower().startswith("sec-websocket-key:")), None)
        if key is None:
            writer.write(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n")
            return
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n")
        while True:
            kind, payload = await frame(reader)
            if kind == 0x8:  # close
                writer.write(packed(0x8, payload[:2]))
                return
            if kind == 0x9:  # ping
                writer.write(packed(0xA, payload))
            elif kind == 0x1:
                action, epsilon = learner.act(tuple(float(x) for x in json.loads(payload)))
                writer.write(packed(0x1, f"{action:.5f},{epsilon:.5f}".encode()))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the other side is gone
    except (Refused, ValueError, TypeError) as e:
        writer.write(packed(0x8, (1007).to_bytes(2, "big") + str(e).encode()[:100]))
    finally:
        writer.close()


async def frame(reader):
    """Reads a frame of a client: the kind of its message, and the message."""
    first, second = await reader.readexactly(2)
    if not first & 0x80 or not second & 0x80:
        raise Refused("messages must be whole, and masked")
    length = second & 0x7F
    if length >= 126:
        length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
    if length > 1 << 20:
        raise Refused("the message is too long")
    mask = await reader.readexactly(4)
    masked = await reader.readexactly(length)
    return first & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(masked))


def packed(kind, payload):
    """A frame of a server."""
    if len(payload) < 126:
        return bytes([0x80 | kind, len(payload)]) + payload
    return bytes([0x80 | kind, 126]) + len(payload).to_bytes(2, "big") + payload


async def http(learner, reader, writer):
    """Serves POST /train_batch, one request after the other on a connection."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            status, text = "200 OK", b"ok"
            if not head[0].startswith("POST /train_batch "):
                status, text = "404 Not Found", b"there is POST /train_batch"
            else:
                try:
                    learner.train([(int(e["eid"]), tuple(float(x) for x in e["state"].split(",")), int(float(e["action"])),
                                    float(e["reward"])) for e in json.loads(body)])
                except (ValueError, TypeError, KeyError, IndexError, AttributeError) as e:
                    status, text = "500 Internal Server Error", repr(e).encode()
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    p = argparse.ArgumentParser(description="a learner for P2PFaaS")
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=8765, help="of the websocket; 0 = any")
    p.add_argument("--train-port", type=int, default=19020, help="of /train_batch; 0 = any")
    p.add_argument("--actions", type=int, default=14)
    p.add_argument("--seed", type=int, default=1)
    o = p.parse_args()
    learner = Learner(o.actions, o.seed)
    act = await asyncio.start_server(lambda r, w: websocket(learner, r, w), o.host, o.port)
    train = await asyncio.start_server(lambda r, w: http(learner, r, w), o.host, o.train_port)
    ports = [s.sockets[0].getsockname()[1] for s in (act, train)]
    print(f"ws://{o.host}:{ports[0]} http://{o.host}:{ports[1]}", flush=True)
    async with act, train:
        await asyncio.gather(act.serve_forever(), train.serve_forever())


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass

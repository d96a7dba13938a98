"""A view that keeps what it hears."""

import time

import numpy as np
import pytest


class Ear:
    """A view in Python: collects what the feed delivers, as the panel app would."""

    def __init__(self, feed, name="v1"):
        self.feed, self.name, self.messages = feed, name, []

    def deliver(self, head, buffers):
        self.messages.append((head, buffers))

    def say(self, kind, **more):
        self.feed.receive({"type": kind, "view": self.name, **more}, self.deliver)

    def look(self, *charts, **more):
        wishes = {c: {"width": 400} for c in charts}
        self.say("view", active=True, charts=wishes, at=None, **more)

    def ask(self, op, **args):
        self.say("request", id=len(self.messages), op=op, args=args)
        return next(h for h, _ in reversed(self.messages) if h["type"] == "reply")

    def frames(self, *, full=False):
        return [(h, b) for h, b in self.messages if h["type"] == "frame" and (h["full"] or not full)]

    def wait(self, condition, *, full=False, patience=20.0):
        """The first frame for which `condition(head)` holds, among those heard and those to come."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            for head, buffers in self.frames(full=full):
                if condition(head):
                    return head, buffers
            time.sleep(0.005)
        raise AssertionError(f"no such frame among {len(self.frames())}: {[h for h, _ in self.frames()][-1:]}")


@pytest.fixture
def ears():
    made = []

    def make(feed, name="v1"):
        made.append(feed)
        return Ear(feed, name)

    yield make
    for feed in made:
        feed.close()


@pytest.fixture
def numbers():
    """The values of a slot of a frame."""

    def read(buffers, slot):
        return np.frombuffer(buffers[0], "<f4")[slot[0] : slot[0] + slot[1]]

    return read

"""Spoken digits by the espeak-ng synthesiser, as log-mel spectrograms: synthetic, no recordings of people.

A fixed set of utterances is made once, in about half a minute, and kept with the other costly parts.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import MissingData
from workbench.data.artifacts import artifact

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp")
SPEAKERS = ("m1", "m3", "m5", "m7", "f1", "f2", "f3", "f4")
SPEEDS = (140, 190)  # words a minute
PITCHES = (35, 65)
MELS, FRAMES = 24, 16
WINDOW, HOP = 512, 256  # samples at 22,050 Hz


@dataclass(frozen=True)
class Spoken:
    """Utterances: `x` (N, 384) float32, 24 mel bands × 16 spans of time, `y` (N,) the digit, `voice` (N,) a number."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    voice: NDArray[np.int64]


def program() -> str:
    """The synthesiser's path. Raises `MissingData` with the command that brings it."""
    found = shutil.which("espeak-ng")
    if found is None:
        raise MissingData(
            "Spoken digits need the espeak-ng program, which is not on this machine. To bring it: "
            "apt-get install espeak-ng."
        )
    return found


def load() -> Spoken:
    """Every digit in every voice, speed and pitch. Raises `MissingData` where espeak-ng is not there."""
    version = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True).stdout.split("Data")
    key = {
        "part": "multimodal spoken digits", "version": version[0].strip(), "accents": ACCENTS, "speakers": SPEAKERS,
        "speeds": SPEEDS, "pitches": PITCHES, "mels": MELS, "frames": FRAMES, "window": WINDOW, "hop": HOP,
    }  # fmt: skip
    with np.load(artifact(key, _make) / "spoken.npz") as kept:
        return Spoken(kept["x"], kept["y"], kept["voice"])


def _make(folder: Path) -> None:
    x, y, voice = [], [], []
    for number, (accent, speaker) in enumerate(product(ACCENTS, SPEAKERS)):
        for (digit, word), speed, pitch in product(enumerate(WORDS), SPEEDS, PITCHES):
            samples, rate = say(word, f"{accent}+{speaker}", speed, pitch)
            x.append(features(samples, rate))
            y.append(digit)
            voice.append(number)
    np.savez(folder / "spoken.npz", x=np.stack(x), y=np.array(y), voice=np.array(voice))


def say(word: str, voice: str, speed: int, pitch: int) -> tuple[NDArray[np.float32], int]:
    """Samples (n,) in -1 … 1 of a spoken word, and their rate in Hz."""
    command = [program(), "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", word]
    sound = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(sound)) as file:
        rate = int(file.getframerate())
    samples = np.frombuffer(sound[44:], "<i2").astype(np.float32)  # piped, the header does not know the length
    return samples / np.float32(32768), rate


def features(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Log-mel spectrogram of what is not silence, its time cut into 16 equal spans: (384,) float32.

    Equal spans take out most of the speed; loudness is taken out by the mean.
    """
    loud = np.flatnonzero(np.abs(samples) > 0.02 * max(float(np.abs(samples).max()), 1e-9))
    spoken = samples[loud[0] : loud[-1] + 1] if len(loud) else samples
    spoken = np.pad(spoken, (0, max(0, WINDOW + (FRAMES - 1) * HOP - len(spoken))))
    frames = np.lib.stride_tricks.sliding_window_view(spoken, WINDOW)[::HOP] * np.hanning(WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    bands = np.log(power @ mel_filters(rate).T + 1e-6)
    spans = np.stack([part.mean(0) for part in np.array_split(bands, FRAMES)], axis=1)
    return (spans - spans.mean()).astype(np.float32).ravel()


def mel_filters(rate: int) -> NDArray[np.float64]:
    """Triangles (24, 257), equally wide on the mel scale 2595 log10(1 + f/700), from 50 Hz to half the rate."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (50.0, rate / 2))
    corners = 700 * (10 ** (np.linspace(low, high, MELS + 2) / 2595) - 1)
    at = np.fft.rfftfreq(WINDOW, 1 / rate)
    rising = (at - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - at) / (corners[2:] - corners[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None)

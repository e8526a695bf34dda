#!/usr/bin/env python3
"""Log-mel features by numpy alone: what tests/tasks/audio/features_test.cpp compares with.

    python3 tests/tasks/audio/features_figures.py > tests/tasks/audio/features_figures.hpp

Written from the definitions (HTK book 5.4; Slaney's Auditory Toolbox; Jaitly and Hinton 2013), not
from the C++ source.
"""
import numpy as np


def mel(hz, scale):
    hz = np.asarray(hz, float)
    if scale == "htk":
        return 2595 * np.log10(1 + hz / 700)
    return np.where(hz < 1000, 3 * hz / 200, 15 + 27 * np.log(np.maximum(hz, 1e-9) / 1000) / np.log(6.4))


def hz(mels, scale):
    if scale == "htk":
        return 700 * (10 ** (mels / 2595) - 1)
    return np.where(mels < 15, 200 * mels / 3, 1000 * 6.4 ** ((mels - 15) / 27))


def warp_of(f, alpha, top):
    knee = 0.8 * top / max(1, alpha)
    return np.where(f <= knee, f * alpha, np.interp(f, [knee, top], [knee * alpha, top]))


def features(x, rate, window, shift, mels, low, high, emphasis, kind, scale, level, floor, alpha):
    x = np.asarray(x, float)
    if level:
        x = x * level / np.sqrt(np.mean(x**2))
    y = np.append(x[0], x[1:] - emphasis * x[:-1])
    n, step = round(window * rate), round(shift * rate)
    if len(y) < n:
        y = np.append(y, np.zeros(n - len(y)))
    size = 1 << (n - 1).bit_length()
    w = np.hanning(n) if kind == "hann" else np.hamming(n)
    frames = np.stack([y[i : i + n] * w for i in range(0, len(y) - n + 1, step)])
    power = np.abs(np.fft.rfft(frames, size)) ** 2
    corners = warp_of(hz(np.linspace(mel(low, scale), mel(high, scale), mels + 2), scale), alpha, high)
    f = np.arange(size // 2 + 1) * rate / size
    out = []
    for left, top, right in zip(corners, corners[1:], corners[2:]):
        weights = np.interp(f, [left, top, right], [0, 1, 0])
        out.append(power @ (weights * (2 / (right - left) if scale == "slaney" else 1)))
    return np.log(np.maximum(np.stack(out, 1), floor))


def signal(n):
    i = np.arange(n, dtype=float)
    noise = i * 7919 % 1013 / 1013 - 0.5
    return (0.5 * np.sin(0.0025 * i * i) + 0.2 * np.sin(0.9 * i) + 0.1 * noise).astype(np.float32)


cases = {
    "htk": (signal(600), 8000, 0.025, 0.01, 10, 20, 4000, 0.97, "hann", "htk", 1, 1e-2, 1),
    "slaney": (signal(1500), 16000, 0.032, 0.016, 12, 0, 7600, 0, "hamming", "slaney", 0, 1e-10, 1),
    "warped": (signal(600), 8000, 0.025, 0.01, 10, 20, 4000, 0.97, "hann", "htk", 1, 1e-2, 1.15),
    "squeezed": (signal(150), 8000, 0.025, 0.01, 10, 20, 4000, 0.97, "hann", "htk", 1, 1e-2, 0.85),
}

print("// Made by tests/tasks/audio/features_figures.py; do not edit.\n#pragma once\n\n#include <vector>\n")
print("namespace rapt::tasks::figures {\n")
for name, case in cases.items():
    rows = features(*case)
    print(f"inline const std::vector<double> {name} = {{  // {rows.shape[0]} frames of {rows.shape[1]}")
    for row in rows:
        print("    " + ", ".join(f"{v:.5f}" for v in row) + ",")
    print("};\n")
print("}  // namespace rapt::tasks::figures")

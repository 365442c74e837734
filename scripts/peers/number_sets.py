"""Numbers that quantizers find hard: the same ones as Tests/Support/NumberSet.swift has."""

import numpy as np

SETS = ("normal cauchy sparse constant denormal huge bits ties zeros infinities above below "
        "scaled outliers nans adjacent mixed").split()
MASK = (1 << 64) - 1


class SplitMix64:
    def __init__(self, state):
        self.state = state

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)


def bell(bits):
    total = sum((bits >> (16 * field)) & 0xFFFF for field in range(4)) - 131070
    return np.float32(total) * np.float32(2.0 ** -18)


def from_bits(pattern):
    return np.array([pattern], np.uint32).view(np.float32)[0]


def number(name, random):
    bits = random.next()
    value, zero = bell(bits), np.float32(0.0 if bits & 1 == 0 else -0.0)
    match name:
        case "normal" | "constant" | "mixed":
            return value
        case "cauchy":
            return (np.float32(((bits >> 8) & 0xFFFF) - 0x8000)
                    / np.float32(1 + ((bits >> 32) & 0xFFFF)))
        case "sparse":
            return value if random.next() & 15 == 0 else zero
        case "denormal":
            return from_bits(bits & 0x807FFFFF)
        case "huge":
            return value * np.float32(2.0 ** 127)
        case "bits":
            pattern = bits & 0xFFFFFFFF
            return from_bits(pattern & ~0x40000000 if (pattern >> 23) & 255 == 255 else pattern)
        case "ties":
            return np.float32(((bits >> 20) & 31) - 16) * np.float32(0.5)
        case "zeros":
            return zero
        case "infinities":
            chance = random.next() & 255
            return np.float32({0: np.inf, 1: -np.inf}.get(chance, value))
        case "above":
            return np.float32(1) + value * np.float32(2.0 ** -20)
        case "below":
            return np.float32(-1) + value * np.float32(2.0 ** -12)
        case "scaled":
            return value * np.float32(2.0 ** -(random.next() & 63))
        case "outliers":
            return value * np.float32(64) if random.next() & 31 == 0 else value
        case "adjacent":
            return from_bits(0xBF800000 | ((bits >> 9) & 3))
        case "nans":
            return np.float32(np.nan) if random.next() & 127 == 0 else value


def numbers(name, count, seed):
    random, held, out = SplitMix64(seed), np.float32(0), np.empty(count, np.float32)
    for index in range(count):
        if name == "constant":
            if index % 48 == 0:
                held = bell(random.next())
            out[index] = held
        elif name == "mixed":
            if index % 16 == 0:
                held = from_bits((1 + random.next() % 250) << 23)
            out[index] = held * number(name, random)
        else:
            out[index] = number(name, random)
    return out


def weights(count, seed):
    random, out = SplitMix64(seed), np.empty(count, np.float32)
    for index in range(count):
        bits = random.next()
        root = np.float32(bits & 0xFFFF) * np.float32(2.0 ** -14)
        out[index] = 0 if bits >> 60 == 0 else root * root
    return out


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in bytes(data):
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return f"{value:016x}"

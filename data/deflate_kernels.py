"""DEFLATE (RFC 1951) for images that are mostly flat, several times faster than zlib's quickest level on them.

Of all earlier text only one byte or one pixel before is looked at: after a row filter, flat images are runs of zeros.
One block with Huffman codes of its own. The output is an ordinary zlib stream (RFC 1950) that any reader takes.
"""

import numba
import numpy as np

END_OF_BLOCK, FIRST_LENGTH, SYMBOLS = 256, 257, 286
LONGEST_MATCH, LONGEST_CODE = 258, 15
_ADLER = 65521
# A token is a byte, or MATCH + 4 * length + distance code (0: one byte back; 1, 2: two or three bytes back).
_MATCH = 1 << 10
# Symbol, extra bits and base of every match length, by RFC 1951, 3.2.5.
_BITS = np.array([0] * 8 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [5] * 4 + [0], np.int64)
_BASES = np.concatenate([3 + np.cumsum(2 ** _BITS[:28]) - 2 ** _BITS[:28], [LONGEST_MATCH]]).astype(np.int64)
_SYMBOL_OF = np.array([np.searchsorted(_BASES, max(n, 3), "right") - 1 for n in range(LONGEST_MATCH + 1)], np.int64)
# Order in which the lengths of the code of code lengths are sent.
_ORDER = np.array([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15], np.int64)


@numba.njit(cache=True)
def compress(data, words, pixel):
    """A zlib stream of `data`; `words` is the same memory in words of eight bytes (its tail may be missing)."""
    tokens, counts = np.empty(len(data) + 1, np.int32), np.zeros(SYMBOLS, np.int64)
    used, checksum = _tokenize(data, words, pixel, tokens, counts)
    counts[END_OF_BLOCK] = 1
    lengths = _code_lengths(counts)
    out = np.empty(len(data) + len(data) // 8 + 1024, np.uint8)
    size = _write(tokens[:used], lengths, out)
    for shift in (24, 16, 8, 0):
        out[size] = (checksum >> shift) & 255
        size += 1
    return out[:size]


@numba.njit(cache=True)
def _tokenize(data, words, pixel, tokens, counts):
    """Bytes and runs, how often each symbol occurs, and the Adler-32 checksum."""
    size, used, i, a, b = len(data), 0, 0, 1, 0
    while i < size:
        run, distance = 0, 1
        if i > 0 and data[i] == 0 and data[i - 1] == 0:
            run = _zeros(data, words, i)
        if run < 3 and i >= pixel:
            run, distance = _repeats(data, i, pixel), pixel
        if run < 3:
            tokens[used] = data[i]
            counts[data[i]] += 1
            used += 1
            a += data[i]
            b += a
            i += 1
            if i & 4095 == 0:
                a, b = a % _ADLER, b % _ADLER
        else:
            used = _add_run(run, distance, tokens, used, counts)
            a, b = _checked(data, i, run, distance, a % _ADLER, b % _ADLER)
            i += run
    return used, ((b % _ADLER) << 16) | (a % _ADLER)


@numba.njit(cache=True)
def _zeros(data, words, start):
    """How many zeros there are from `start` on."""
    i, size = start, len(data)
    while i < size and i & 7 and data[i] == 0:
        i += 1
    if i < size and i & 7 == 0:
        word = i >> 3
        while word < len(words) and words[word] == 0:
            word += 1
        i = word << 3
        while i < size and data[i] == 0:
            i += 1
    return i - start


@numba.njit(cache=True)
def _repeats(data, start, distance):
    """How many bytes from `start` on equal those `distance` before them, up to a match's length."""
    i, end = start, min(len(data), start + LONGEST_MATCH)
    while i < end and data[i] == data[i - distance]:
        i += 1
    return i - start


@numba.njit(cache=True)
def _add_run(run, distance, tokens, used, counts):
    """Matches that make up a run of three bytes or more."""
    while run > 0:
        length = min(run, LONGEST_MATCH)
        if 0 < run - length < 3:
            length = run - 3
        tokens[used] = _MATCH + 4 * length + distance - 1
        counts[FIRST_LENGTH + _SYMBOL_OF[length]] += 1
        used += 1
        run -= length
    return used


@numba.njit(cache=True)
def _checked(data, start, run, distance, a, b):
    """The checksum's sums after a run, at most 258 bytes of it if they are not zeros."""
    if distance == 1 and data[start] == 0:
        return a, (b + a * run) % _ADLER
    for i in range(start, start + run):
        a += data[i]
        b += a
    return a % _ADLER, b % _ADLER


@numba.njit(cache=True)
def _code_lengths(counts):
    """Lengths of an optimal prefix code, at most 15 bits; rare symbols count as less rare until it fits."""
    counts = counts.copy()
    while True:
        lengths = _huffman(counts)
        if lengths.max() <= LONGEST_CODE:
            return lengths
        for symbol in range(len(counts)):
            if counts[symbol] > 0:
                counts[symbol] = (counts[symbol] + 1) // 2


@numba.njit(cache=True)
def _huffman(counts):
    """Huffman's algorithm by two queues: leaves in order of their counts, and joints in order of their making."""
    leaves = np.argsort(counts, kind="mergesort")
    leaves = leaves[counts[leaves] > 0]
    count = len(leaves)
    weights, parents = np.zeros(2 * count, np.int64), np.zeros(2 * count, np.int64)
    weights[:count] = counts[leaves]
    leaf, joint = 0, count
    for made in range(count, 2 * count - 1):
        for _ in range(2):
            if leaf < count and (joint >= made or weights[leaf] <= weights[joint]):
                chosen = leaf
                leaf += 1
            else:
                chosen = joint
                joint += 1
            weights[made] += weights[chosen]
            parents[chosen] = made
    depths, lengths = np.zeros(2 * count, np.int64), np.zeros(len(counts), np.int64)
    for node in range(2 * count - 3, -1, -1):
        depths[node] = depths[parents[node]] + 1
    for row in range(count):
        lengths[leaves[row]] = max(depths[row], 1)
    return lengths


@numba.njit(cache=True)
def _codes(lengths):
    """Canonical codes (RFC 1951, 3.2.2), their bits in the order in which they are sent."""
    code, codes = 0, np.zeros(len(lengths), np.int64)
    for length in range(1, LONGEST_CODE + 1):
        for symbol in range(len(lengths)):
            if lengths[symbol] == length:
                for bit in range(length):
                    codes[symbol] |= ((code >> bit) & 1) << (length - 1 - bit)
                code += 1
        code <<= 1
    return codes


@numba.njit(cache=True)
def _put(value, bits, out, size, held, waiting):
    """Appends bits, lowest first."""
    held |= np.uint64(value) << np.uint64(waiting)
    waiting += bits
    while waiting >= 8:
        out[size] = held & np.uint64(255)
        held >>= np.uint64(8)
        size += 1
        waiting -= 8
    return size, held, waiting


@numba.njit(cache=True)
def _write(tokens, lengths, out):
    """The stream's two first bytes and its one block; returns its size."""
    out[0], out[1] = 0x78, 0x01
    size, held, waiting = 2, np.uint64(0), 0
    size, held, waiting = _put(0b101, 3, out, size, held, waiting)  # The last block, with codes of its own.
    size, held, waiting = _put(SYMBOLS - 257, 5, out, size, held, waiting)
    size, held, waiting = _put(2, 5, out, size, held, waiting)  # Three distance codes.
    size, held, waiting = _put(15, 4, out, size, held, waiting)
    for symbol in _ORDER:  # Code lengths 0 to 15 are sent as four bits each, without abbreviations.
        size, held, waiting = _put(4 if symbol < 16 else 0, 3, out, size, held, waiting)
    for symbol in range(SYMBOLS + 3):
        length = lengths[symbol] if symbol < SYMBOLS else _distance_bits(symbol - SYMBOLS)
        reverse = (length & 1) << 3 | (length & 2) << 1 | (length & 4) >> 1 | (length & 8) >> 3
        size, held, waiting = _put(reverse, 4, out, size, held, waiting)
    codes = _codes(lengths)
    for token in tokens:
        symbol = token
        if token >= _MATCH:
            length, distance = (token - _MATCH) >> 2, (token - _MATCH) & 3
            kind = _SYMBOL_OF[length]
            symbol = FIRST_LENGTH + kind
        size, held, waiting = _put(codes[symbol], lengths[symbol], out, size, held, waiting)
        if token >= _MATCH:
            size, held, waiting = _put(length - _BASES[kind], _BITS[kind], out, size, held, waiting)
            code = 0 if distance == 0 else (1 if distance == 1 else 3)
            size, held, waiting = _put(code, _distance_bits(distance), out, size, held, waiting)
    size, held, waiting = _put(codes[END_OF_BLOCK], lengths[END_OF_BLOCK], out, size, held, waiting)
    size, held, waiting = _put(0, (8 - waiting) & 7, out, size, held, waiting)
    return size


@numba.njit(cache=True)
def _distance_bits(code):
    """Codes 0, 10, 11 for one, two and three bytes back (sent as 0, 01, 11)."""
    return 1 if code == 0 else 2

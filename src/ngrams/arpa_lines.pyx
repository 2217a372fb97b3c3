"""The lines of ARPA files as arrays: numbers, and codes of words.

Most numbers there have few digits and a point: one division of two integers that float64 holds exactly makes them, rounded
as Python's `float` rounds them. All others are left to `float`. N-grams are in some order in most files, so that the words of
a line are often those of the line before: only where they are not does the dict say what their codes are.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memchr, memcmp

import numpy as np

# How a call of `read` ends: at the end of the text or of the arrays, before a line without words, or before a line of which
# something is wrong: the number of its words, a number, a word that is not known, a number that cannot be.
DONE = 0
BLANK = 1
WIDTH = 2
NUMBER = 3
WORD = 4
RANGE = 5

cdef enum:
    MOST_DIGITS = 15    # integers of so many are exact in float64, and so are powers of ten

cdef double[16] POWERS
POWERS[:] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15]


cdef inline bint is_blank(char c) noexcept nogil:
    return c == c' ' or c'\t' <= c <= c'\r'


cdef Py_ssize_t split(
    const char *text, Py_ssize_t *place, Py_ssize_t end, Py_ssize_t most, Py_ssize_t *begins, Py_ssize_t *ends
) noexcept nogil:
    """The number of words of the line at `place`, which moves on to the next line; most + 1 where there are more than `most`.

    A word of bytes is what blanks of ASCII separate, as `bytes.split` has it.
    """
    cdef Py_ssize_t i = place[0], n = 0
    cdef const char *line_end
    while True:
        while i < end and text[i] != c'\n' and is_blank(text[i]):
            i += 1
        if i == end or text[i] == c'\n':
            break
        if n == most:
            n += 1
            line_end = <const char *>memchr(text + i, c'\n', end - i)
            i = end if line_end == NULL else line_end - text
            break
        begins[n] = i
        while i < end and not is_blank(text[i]):
            i += 1
        ends[n] = i
        n += 1
    place[0] = i if i == end else i + 1
    return n


cdef bint read_plain(const char *text, Py_ssize_t n, double *out) noexcept nogil:
    """Whether this is a number of few digits, with a point and a minus or without, and the number."""
    cdef Py_ssize_t i = 0, n_digits = 0, n_decimals = 0
    cdef int64_t digits = 0
    cdef bint is_negative = n > 0 and text[0] == c'-', is_behind_point = False
    if n > MOST_DIGITS + 2:
        return False
    for i in range(is_negative, n):
        if c'0' <= text[i] <= c'9':
            digits = 10 * digits + (text[i] - c'0')
            n_digits += 1
            n_decimals += is_behind_point
        elif text[i] == c'.' and not is_behind_point:
            is_behind_point = True
        else:
            return False
    if not 1 <= n_digits <= MOST_DIGITS:
        return False
    out[0] = <double>digits / POWERS[n_decimals]
    if is_negative:
        out[0] = -out[0]
    return True


cdef bint read_number(const char *text, Py_ssize_t n, double *out) except -1:
    """Whether this is a number, and the number."""
    if read_plain(text, n, out):
        return True
    try:
        out[0] = float(PyBytes_FromStringAndSize(text, n))
    except ValueError:
        return False
    return True


def read(
    bytes text, Py_ssize_t place,
    dict codes,                     # of words, bytes; IN, OUT
    bint learns,                    # whether unknown words get the next codes; else they are a fault
    double[::1] log10_proba,        # OUT: (n_lines,)
    double[::1] log10_backoff,      # OUT: the same; 0 where a line has none
    int32_t[:, ::1] ids,            # OUT: (n_lines, length) codes
):
    """Read lines of n-grams of one length from `place` on, until one is blank or faulty, or the arrays are full.

    Returns
    -------
    n_lines : how many were read
    place : where the next line begins
    outcome : one of the constants above
    """
    cdef Py_ssize_t length = ids.shape[1], n_room = ids.shape[0], end = len(text), n = 0, j, n_words, size
    cdef const char *s = PyBytes_AS_STRING(text)
    cdef Py_ssize_t line = place
    memory = np.empty((4, length + 2), np.intp)
    cdef Py_ssize_t[:, ::1] fields = memory
    cdef Py_ssize_t *begins = &fields[0, 0]
    cdef Py_ssize_t *ends = &fields[1, 0]
    cdef Py_ssize_t *begins_before = &fields[2, 0]     # of the words of the line before
    cdef Py_ssize_t *ends_before = &fields[3, 0]
    cdef double proba, backoff
    cdef object code
    while n < n_room and line < end:
        place = line
        n_words = split(s, &line, end, length + 2, begins, ends)
        if n_words == 0:
            return n, place, BLANK
        if n_words != length + 1 and n_words != length + 2:
            return n, place, WIDTH
        backoff = 0
        if not read_number(s + begins[0], ends[0] - begins[0], &proba):
            return n, place, NUMBER
        if n_words > length + 1 and not read_number(
            s + begins[length + 1], ends[length + 1] - begins[length + 1], &backoff
        ):
            return n, place, NUMBER
        if not (proba <= 0 and backoff < INFINITY):
            return n, place, RANGE
        for j in range(length):
            size = ends[j + 1] - begins[j + 1]
            if n > 0 and size == ends_before[j + 1] - begins_before[j + 1] and memcmp(
                s + begins[j + 1], s + begins_before[j + 1], size
            ) == 0:
                ids[n, j] = ids[n - 1, j]
                continue
            word = PyBytes_FromStringAndSize(s + begins[j + 1], size)
            code = codes.get(word)
            if code is None:
                if not learns:
                    return n, place, WORD
                code = len(codes)
                codes[word] = code
            ids[n, j] = code
        log10_proba[n], log10_backoff[n] = proba, backoff
        n += 1
        begins, begins_before = begins_before, begins
        ends, ends_before = ends_before, ends
    return n, line, DONE

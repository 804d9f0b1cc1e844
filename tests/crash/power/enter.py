"""Starts user-mode-linux so that it runs on processors with large register states.

Its kernel saves a fixed amount of them and fails where there are more. A filter answers EINVAL to
the two requests that it does so with, and it takes the older ones that save the SSE state alone;
so programs inside must leave the wider registers alone (GLIBC_TUNABLES).
"""

import ctypes
import os
import struct
import sys

PTRACE, GETREGSET, SETREGSET = 101, 0x4204, 0x4205
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, EINVAL = 0x7FFF0000, 0x00050000 | 22
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


def step(code, then, otherwise, value):
    return struct.pack("HBBI", code, then, otherwise, value)


steps = b"".join([
    step(LOAD, 0, 0, 0),
    step(EQUAL, 0, 4, PTRACE),
    step(LOAD, 0, 0, 16),
    step(EQUAL, 1, 0, GETREGSET),
    step(EQUAL, 0, 1, SETREGSET),
    step(RETURN, 0, 0, EINVAL),
    step(RETURN, 0, 0, ALLOW),
])
kept = ctypes.create_string_buffer(steps)
program = Program(len(steps) // 8, ctypes.cast(kept, ctypes.c_void_p))
libc = ctypes.CDLL(None, use_errno=True)
for request in [(NO_NEW_PRIVILEGES, 1, 0), (SECCOMP, FILTER, ctypes.byref(program))]:
    if libc.prctl(*request, 0, 0) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])

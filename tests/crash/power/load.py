"""Loads a module into the kernel that runs, where there is no other program for it."""

import ctypes
import os
import sys

FINIT_MODULE = 313

libc = ctypes.CDLL(None, use_errno=True)
if libc.syscall(FINIT_MODULE, os.open(sys.argv[1], os.O_RDONLY), b"", 0) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))

"""Runs a program and says, as JSON, what it took: run.py OUTPUT PROGRAM ARGUMENT...

Its stdout goes to the file OUTPUT, its stderr to ours. CPU time is that of the program and of all that it waited for.
Resident memory is at least that of this interpreter, of which the program begins as a copy.
"""

import json
import os
import sys
import time

output, program = sys.argv[1], sys.argv[2:]
begun = time.monotonic()
child = os.fork()
if child == 0:
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 1)
    os.execvp(program[0], program)
_, status, usage = os.wait4(child, 0)
took = {
    "cpuSeconds": usage.ru_utime + usage.ru_stime,
    "wallSeconds": time.monotonic() - begun,
    "residentBytes": usage.ru_maxrss * 1024,
    "exit": os.waitstatus_to_exitcode(status),
}
print(json.dumps(took))

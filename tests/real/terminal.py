# terminal.py COMMAND...: an interactive shell on a terminal: ^C, ^Z, jobs, fg, a background job that wants to read.
import os
import pty
import re
import select
import sys
import time


def main():
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(PS1="$ ", TERM="dumb")
        os.execvp(sys.argv[1], sys.argv[1:])
    text = b""

    def until(what, limit=30.0):
        # Waits for a pattern in what was not looked at yet.
        nonlocal text
        start, end = len(text), time.time() + limit
        while not re.search(what, text[start:]) and time.time() < end:
            if select.select([fd], [], [], 0.1)[0]:
                try:
                    text += os.read(fd, 4096)
                except OSError:
                    break
        print("ok" if re.search(what, text[start:]) else f"no {what} in {text[start:]}")

    def send(line):
        os.write(fd, line)

    until(rb"\$ ")
    send(b"echo $((6 * 7))\n")
    until(rb"\n42\r\n")
    send(b"cat\n")
    time.sleep(0.5)
    send(b"line\n")
    until(rb"line\r\nline\r\n")
    send(b"\x03")
    until(rb"\$ ")
    send(b"echo rc=$?\n")
    until(rb"rc=130")
    send(b"cat\n")
    time.sleep(0.5)
    send(b"\x1a")
    until(rb"Stopped +cat")
    send(b"jobs\n")
    until(rb"Stopped +cat")
    send(b"fg\n")
    until(rb"cat\r\n")
    time.sleep(0.5)
    send(b"again\n")
    until(rb"again\r\nagain\r\n")
    send(b"\x04")
    until(rb"\$ ")
    send(b"cat &\n")
    time.sleep(0.5)
    send(b"jobs\n")
    until(rb"Stopped +cat")
    send(b"kill %1; wait; echo gone\n")
    until(rb"gone\r\n")
    send(b"stty rows 33 cols 44; stty size\n")
    until(rb"33 44")
    send(b"exit 5\n")
    until(rb"exit\r\n")
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


main()

# Runs natively and in Moat with the same output: the pty module, a raw terminal, select, a hangup.
import fcntl, os, pty, select, signal, struct, sys, termios, tty

def screen(fd, text):
    got = b""
    while text not in got:
        if not select.select([fd], [], [], 20)[0]:
            return got + b" (and no more)"
        try:
            piece = os.read(fd, 1024)
        except OSError as error:
            return got + str(error).encode()
        if not piece:
            break
        got += piece
    return got

pid, fd = pty.fork()
if pid == 0:
    os.execlp("sh", "sh", "-c", "stty -echo; echo started; read line; echo \"read $line\"; stty raw; head -c 3 | od -An -tx1; exit 5")
print(screen(fd, b"started\r\n"))
os.write(fd, b"a line\n")
print(screen(fd, b"read a line\r\n"))
import time
while termios.tcgetattr(fd)[3] & termios.ICANON:
    time.sleep(0.01)
os.write(fd, b"\x03\x04\r")
print(screen(fd, b"0d"))
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

master, slave = pty.openpty()
print(os.isatty(slave), os.ttyname(slave).startswith("/dev/pts/"))
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 10, 20, 0, 0))
print(os.get_terminal_size(master))
tty.setraw(slave)
os.write(master, bytes(range(256)))
print(os.read(slave, 1000) == bytes(range(256)))
os.write(slave, bytes(range(256)))
print(os.read(master, 1000) == bytes(range(256)))
pid = os.fork()
if pid == 0:
    os.close(master)
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    os.write(slave, b"!")
    signal.pause()
print(os.read(master, 1))
os.close(slave)
os.close(master)
print(signal.Signals(-os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).name)
print(pty.spawn(["sh", "-c", "tty > /dev/null; exit 3"]) >> 8)

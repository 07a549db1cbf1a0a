# memcached.py PORT: the server, eight clients of 500 keys each, its own counts.
import socket, subprocess, sys, threading, time
p = int(sys.argv[1])
s = subprocess.Popen(["memcached", "-l", "127.0.0.1", "-p", str(p), "-t", "4", "-m", "64", "-u", "root"])
def connect():
    for i in range(100):
        try:
            return socket.create_connection(("127.0.0.1", p))
        except OSError:
            time.sleep(0.05)
def ask(c, q, end):
    c.sendall(q)
    b = b""
    while not b.endswith(end):
        b += c.recv(65536)
    return b
bad = []
def work(n):
    c = connect()
    for i in range(500):
        v = b"%d-%d" % (n, i) * (i % 50 + 1)
        if ask(c, b"set k%d.%d 0 0 %d\r\n" % (n, i, len(v)) + v + b"\r\n", b"\r\n") != b"STORED\r\n":
            bad.append(i)
        if ask(c, b"get k%d.%d\r\n" % (n, i), b"END\r\n").split(b"\r\n")[1] != v:
            bad.append(i)
ts = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for t in ts:
    t.start()
for t in ts:
    t.join()
c = connect()
st = dict(l.split()[1:3] for l in ask(c, b"stats\r\n", b"END\r\n").splitlines() if l.startswith(b"STAT") and len(l.split()) == 3)
print(bad, *[st[k].decode() for k in (b"cmd_get", b"cmd_set", b"get_hits", b"curr_items", b"threads")])
s.terminate()
print(s.wait())

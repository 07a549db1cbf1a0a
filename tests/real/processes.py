# subprocess, multiprocessing, os.fork and signals of python3.
import multiprocessing as mp
import os
import signal
import subprocess
import sys
import tempfile


def square(x):
    return x * x


def add(counter, lock):
    for _ in range(100):
        with lock:
            counter.value += 1


def main():
    print(subprocess.run(["echo", "hello"], capture_output=True, text=True).stdout.strip())
    print(subprocess.check_output("ls -d /usr | tr a-z A-Z", shell=True, text=True).strip())
    print(subprocess.run(["sh", "-c", "exit 7"]).returncode)
    p = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    print(p.communicate("x" * 200000)[0].count("x"))
    p = subprocess.Popen(["sleep", "100"], start_new_session=True)
    os.killpg(p.pid, signal.SIGTERM)
    print(p.wait())
    try:
        subprocess.run(["sleep", "100"], timeout=0.2)
    except subprocess.TimeoutExpired:
        print("timed out")
    for method in ("fork", "spawn"):
        context = mp.get_context(method)
        with context.Pool(2) as pool:
            print(method, pool.map(square, range(8)))
        counter, lock = context.Value("i", 0, lock=False), context.Lock()
        workers = [context.Process(target=add, args=(counter, lock)) for _ in range(3)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
        print(counter.value, [w.exitcode for w in workers])
    queue = mp.Queue()
    worker = mp.Process(target=queue.put, args=(list(range(1000)),))
    worker.start()
    print(sum(queue.get()))
    worker.join()
    with tempfile.TemporaryFile() as f:
        pid = os.fork()
        if pid == 0:
            os.write(f.fileno(), b"child")
            os._exit(5)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        print(os.pread(f.fileno(), 10, 0))
    big = bytearray(64 << 20)
    pid = os.fork()
    if pid == 0:
        big[5] = 1
        os._exit(sum(big[:10]))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), big[5])
    hits = []
    signal.signal(signal.SIGCHLD, lambda *_: hits.append(1))
    subprocess.run(["true"])
    print(len(hits) > 0)
    fd = os.pidfd_open(os.getpid())
    signal.pidfd_send_signal(fd, signal.SIGCHLD)
    print(len(hits) > 1)
    sys.stdout.flush()


if __name__ == "__main__":
    main()

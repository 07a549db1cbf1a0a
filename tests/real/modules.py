# modules.py DIR: asyncio (subprocesses, timers, signals, sockets of both families) and sqlite3 (threads, processes, a journal, WAL).
import asyncio
import concurrent.futures
import multiprocessing
import os
import signal
import socket
import sqlite3
import sys
import threading


async def echo(reader, writer):
    while data := await reader.read(1000):
        writer.write(data.upper())
        await writer.drain()
    writer.close()


async def talk():
    process = await asyncio.create_subprocess_exec("tr", "a-z", "A-Z", stdin=-1, stdout=-1)
    print((await process.communicate(b"through a pipe"))[0].decode(), process.returncode)
    codes = await asyncio.gather(*[shell(f"sleep 0.0{n}; exit {n}") for n in range(5)])
    print(codes)
    server = await asyncio.start_unix_server(echo, path="socket")
    for _ in range(20):
        reader, writer = await asyncio.open_unix_connection("socket")
        writer.write(b"hello\n")
        assert await reader.readline() == b"HELLO\n"
        writer.close()
    server.close()
    loop, caught = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, caught.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(caught.wait(), 5)
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.05)
    except asyncio.TimeoutError:
        print("timed out")
    a, b = socket.socketpair()
    a.setblocking(False), b.setblocking(False)
    sender = asyncio.create_task(loop.sock_sendall(a, b"x" * 3_000_000))
    got = 0
    while got < 3_000_000:
        got += len(await loop.sock_recv(b, 65536))
    await sender
    print(got)
    print(sum(await asyncio.gather(*[loop.run_in_executor(None, lambda n=n: n * n) for n in range(50)])))


async def shell(command):
    return await (await asyncio.create_subprocess_shell(command)).wait()


def insert(number, name="data.db"):
    connection = sqlite3.connect(name, timeout=60)
    for i in range(20):
        with connection:
            connection.execute("insert into t values (?, ?)", (number, i))
    connection.close()
    return number


def base(name, mode):
    connection = sqlite3.connect(name)
    print(connection.execute(f"pragma journal_mode={mode}").fetchone()[0])
    connection.execute("create table t (a int, b int)")
    connection.commit()
    return connection


def databases():
    for mode in ("delete", "wal"):
        name = mode + ".db"
        connection = base(name, mode)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            print(sum(pool.map(lambda n: insert(n, name), range(4))))
        with multiprocessing.get_context("fork").Pool(3) as pool:
            print(sum(pool.starmap(insert, [(n, name) for n in range(4, 7)])))
        print(connection.execute("select count(*), sum(a * b) from t").fetchone())
        print(connection.execute("pragma integrity_check").fetchone()[0])
        try:
            with connection:
                connection.execute("delete from t")
                raise KeyError
        except KeyError:
            print(connection.execute("select count(*) from t").fetchone()[0])
        connection.execute("create index i on t (b)")
        connection.execute("vacuum")
        connection.close()
    memory = sqlite3.connect(":memory:", check_same_thread=False)
    memory.execute("create virtual table words using fts5 (text)")
    memory.executemany("insert into words values (?)", [(f"word{n} common",) for n in range(1000)])
    print(memory.execute("select count(*) from words where words match 'common'").fetchone()[0])


os.chdir(sys.argv[1])
asyncio.run(talk())
databases()
print(threading.active_count(), sorted(os.listdir(".")))

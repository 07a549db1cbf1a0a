"""json, threads and file work, with the same output each time."""

import hashlib
import json
import os
import tempfile
import threading

results = {}
lock = threading.Lock()


def worker(number, directory):
    path = os.path.join(directory, f"part-{number}.json")
    data = {"number": number, "squares": [i * i for i in range(2000)], "text": "täxt" * 50}
    with open(path, "w", encoding="utf-8") as f:
        json.dump(data, f, sort_keys=True)
    with open(path, encoding="utf-8") as f:
        again = json.load(f)
    assert again == data
    os.rename(path, path + ".done")
    with open(path + ".done", "r+b") as f:
        f.seek(0, os.SEEK_END)
        f.write(b"tail")
        f.flush()
        os.fsync(f.fileno())
        f.seek(0)
        digest = hashlib.sha256(f.read()).hexdigest()
    with lock:
        results[number] = digest


with tempfile.TemporaryDirectory() as directory:
    threads = [threading.Thread(target=worker, args=(n, directory)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = sorted(os.listdir(directory))
    sizes = [os.stat(os.path.join(directory, name)).st_size for name in names]
print(json.dumps({"names": names, "sizes": sizes, "results": results}, indent=1, sort_keys=True))
print(os.path.exists(directory), threading.active_count())

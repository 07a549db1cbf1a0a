# What of fio's JSON is the same in each run: per job its errors, and what it read, wrote and trimmed.
import json
import sys

text = sys.stdin.read()
if "{" not in text:
    print(text)
    sys.exit()
start = text.index("{")
report = json.loads(text[start:])
for job in report["jobs"]:
    kinds = [job[k] for k in ("read", "write", "trim")]
    # A job that ends by the clock, or by an error, does as much as it can.
    if job["error"]:
        print(job["jobname"], "error", job["error"])
    elif "runtime" in report.get("global options", {}) | job["job options"]:
        print(job["jobname"], *[k["total_ios"] > 0 for k in kinds])
    else:
        print(job["jobname"], *[(k["total_ios"], k["io_bytes"]) for k in kinds])

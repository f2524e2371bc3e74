"""Fetches an export from a server on loopback, once with curl and once with `ehi fetch`: transfer.py EHI RECORDS SCRATCH

Says, as JSON, how long the files took in each case and how many bytes they are. curl writes them to a disk one after the
other over one connection and checks nothing. `ehi fetch` checks length, count, digest and every line; its time is that
between the first request for a file and the last file's end, from its export log.
"""

import datetime
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request

ehi, records, scratch = sys.argv[1:]
shutil.rmtree(scratch, ignore_errors=True)
data, curled, fetched = (os.path.join(scratch, name) for name in ("data", "curl", "fetch"))
os.makedirs(data)
os.makedirs(curled)
os.link(records, os.path.join(data, "records.ndjson"))

server = subprocess.Popen(
    [ehi, "serve", "--listen", "127.0.0.1:0", "--data", data, "--state", os.path.join(scratch, "state")],
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
)
try:
    base = server.stdout.readline().removeprefix("serving ").strip()

    def get(url, headers={}):
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers))

    location = get(base + "/$export", {"Prefer": "respond-async"}).headers["Content-Location"]
    while (reply := get(location)).status == 202:
        time.sleep(0.5)
    urls = [row["url"] for row in json.load(reply)["output"]]

    arguments = [part for number, url in enumerate(urls) for part in ("-o", os.path.join(curled, str(number)), url)]
    begun = time.monotonic()
    subprocess.run(["curl", "--silent", "--show-error", "--fail", *arguments], check=True)
    curl_seconds = time.monotonic() - begun

    fetch = [ehi, "fetch", base, "--insecure-http", "--out", fetched]
    subprocess.run(fetch, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(fetched, "export-log.ndjson")) as log:
        events = [json.loads(line) for line in log]

    def times(event):
        return [datetime.datetime.fromisoformat(one["timestamp"]) for one in events if one["eventId"] == event]

    fetch_seconds = (max(times("download_complete")) - min(times("download_request"))).total_seconds()

    def size(folder, wanted):
        return sum(entry.stat().st_size for entry in os.scandir(folder) if wanted(entry.name))

    transferred = size(curled, lambda name: True)
    received = size(fetched, lambda name: name.endswith(".ndjson") and name != "export-log.ndjson")
    if transferred != received:
        sys.exit(f"curl got {transferred} bytes, ehi fetch {received}")
    print(json.dumps({"bytes": transferred, "curlSeconds": curl_seconds, "fetchSeconds": fetch_seconds}))
finally:
    server.kill()
    server.wait()
    shutil.rmtree(scratch, ignore_errors=True)

"""The question of the comparison, a line at a time: every line is parsed, and written if it is meant."""

import sys

import orjson


def meant(resource):
    if resource.get("resourceType") != "Observation":
        return False
    if resource["meta"].get("lastUpdated", "") < "2020-01-01T00:00:00Z":
        return False
    date = resource.get("effectiveDateTime") or (resource.get("effectivePeriod") or {}).get("end") or ""
    if date < "2018-07-02":
        return False
    codings = (coding for concept in resource.get("category", ()) for coding in concept.get("coding", ()))
    return any(coding.get("code") == "laboratory" for coding in codings)


with open(sys.argv[1], "rb", buffering=1 << 20) as lines:
    for line in lines:
        if meant(orjson.loads(line)):
            sys.stdout.buffer.write(line)

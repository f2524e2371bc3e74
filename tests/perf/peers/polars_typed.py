"""The question of the comparison, over columns whose types are given; prints the ids."""

import os
import sys

os.environ["POLARS_MAX_THREADS"] = "1"
import polars as pl

SCHEMA = {
    "id": pl.String,
    "resourceType": pl.String,
    "meta": pl.Struct({"lastUpdated": pl.String}),
    "effectiveDateTime": pl.String,
    "effectivePeriod": pl.Struct({"end": pl.String}),
    "category": pl.List(pl.Struct({"coding": pl.List(pl.Struct({"code": pl.String}))})),
}

period_end = pl.col("effectivePeriod").struct.field("end")
is_laboratory = pl.element().struct.field("code") == "laboratory"
has_laboratory = pl.element().struct.field("coding").list.eval(is_laboratory).list.any()
meant = (
    (pl.col("resourceType") == "Observation")
    & (pl.col("meta").struct.field("lastUpdated") >= "2020-01-01T00:00:00Z")
    & (pl.coalesce(pl.col("effectiveDateTime"), period_end) >= "2018-07-02")
    & pl.col("category").list.eval(has_laboratory).list.any()
)
resources = pl.scan_ndjson(sys.argv[1], schema=SCHEMA, ignore_errors=True)
for id in resources.filter(meant).select("id").collect()["id"]:
    print(id)

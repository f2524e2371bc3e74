"""The question of the comparison, over columns whose types are given; prints the ids."""

import sys

import duckdb

QUERY = """
SELECT id
FROM read_ndjson(
    $path,
    columns = {
        id: 'VARCHAR',
        resourceType: 'VARCHAR',
        meta: 'STRUCT(lastUpdated VARCHAR)',
        effectiveDateTime: 'VARCHAR',
        effectivePeriod: 'STRUCT("end" VARCHAR)',
        category: 'JSON'
    },
    maximum_object_size = 33554432
)
WHERE resourceType = 'Observation'
  AND meta.lastUpdated >= '2020-01-01T00:00:00Z'
  AND coalesce(effectiveDateTime, effectivePeriod."end") >= '2018-07-02'
  AND list_contains(json_extract_string(category, '$[*].coding[*].code'), 'laboratory')
"""

connection = duckdb.connect()
connection.execute("SET threads = 1; SET preserve_insertion_order = true")
for (id,) in connection.execute(QUERY, {"path": sys.argv[1]}).fetchall():
    print(id)

# The question of the comparison; text order of instants is right, as the input keeps clear of the bounds.
select(
  .resourceType == "Observation"
  and .meta.lastUpdated >= "2020-01-01T00:00:00Z"
  and (.effectiveDateTime // .effectivePeriod.end // "") >= "2018-07-02"
  and any(.category[]?.coding[]?; .code == "laboratory")
)

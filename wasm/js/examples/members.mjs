import { Endpoint, PopulationBuilder, newEntropy, wants } from "ehi-export";

const endpoint = new Endpoint({ baseUrl: "https://ehr.example/fhir", auth: "none", newMembers: "whole" });
const request = { method: "GET", target: "/fhir/Group/g/$export?_since=2025-06-01T00:00:00Z", headers: [] };
const { kickOff } = endpoint.route(request, null, "open").kickOff;
const { accepted } = endpoint.decide(kickOff, "open", { activeJobs: 0, groups: ["g"] }, newEntropy(), Date.now());
const { population, newAfter } = wants(accepted.job.record, "host-a", Date.now()).run;
console.log("members of", population.group, "new after", newAfter);

// Who is in the group, and since when, you know.
const memberships = [
  { type: "Patient", id: "1", since: new Date("2020-01-01T00:00:00Z") },
  { type: "Patient", id: "2", since: new Date("2025-07-01T00:00:00Z") },
  { type: "Device", id: "3", since: new Date("2025-07-01T00:00:00Z") },
];
const members = new PopulationBuilder();
for (const { type, id, since } of memberships) {
  const isNew = newAfter !== undefined && since > new Date(newAfter);
  if (type !== "Patient") members.pushResource(type, id, isNew);
  else if (isNew) members.pushNew(id);
  else members.push(id);
}
console.log("a block of", members.seal().length, "bytes");

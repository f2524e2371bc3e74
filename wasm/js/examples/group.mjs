import { Endpoint, PopulationBuilder, SetBuilder, Writer, apply, newEntropy, plan, setsWanted, wants } from "ehi-export";

// 1. A client asks for a group. This server speaks edition 2.0, where its Provenance is part of that.
const endpoint = new Endpoint({ baseUrl: "https://ehr.example/fhir", auth: "none", edition: "2.0" });
const request = { method: "GET", target: "/fhir/Group/g/$export", headers: [] };
const { kickOff } = endpoint.route(request, null, "open").kickOff;
const facts = { activeJobs: 0, groups: ["g"] };
const { accepted } = endpoint.decide(kickOff, "open", facts, newEntropy(), Date.now());
const now = new Date();
const until = new Date(now.getTime() + 30_000);
const begin = { holder: "host-a", until, transactionTime: now, snapshot: "1", partitions: 1 };
let { epoch, job } = apply(accepted.job.record, { begin }, Date.now());

// 2. Whose data: the group has one member.
const members = new PopulationBuilder();
members.push("1");
const population = members.seal();
const lines = new TextEncoder().encode(`\
{"resourceType":"Patient","id":"1"}
{"resourceType":"Patient","id":"2"}
{"resourceType":"Provenance","id":"a","target":[{"reference":"Patient/1"}],"recorded":"2020-01-01T00:00:00Z"}
{"resourceType":"Provenance","id":"b","target":[{"reference":"Patient/2"}],"recorded":"2020-01-01T00:00:00Z"}
`);

// 3. One pass over all lines, with the sets that it needs.
function* goThrough(task, sets) {
  const writer = new Writer(plan(job.record), { task, population });
  for (const { set, block } of sets) writer.addSet(set, block);
  writer.writeLines(lines, { name: "all.ndjson", cursor: new Uint8Array(), offset: 0 });
  writer.finish();
  for (let event = writer.pollOutput(); event !== null; event = writer.pollOutput()) yield event;
}

// 4. The sets of a pass: each is what another pass finds, with the sets before it.
function makeSets(pass) {
  const sets = [];
  for (const [set, task] of setsWanted(plan(job.record), pass)) {
    if (task === null) throw new Error("this server knows nothing of consent");
    const builder = new SetBuilder(set, 10_000_000);
    for (const { found } of goThrough(task, sets)) builder.push(found.bytes);
    sets.push({ set, block: builder.seal() });
  }
  return sets;
}

// 5. Every task that the job lists, until it lists none. Of whatever pass it is, its files are stored and published alike.
for (let left = wants(job.record, "host-a", Date.now()); left.run; left = wants(job.record, "host-a", Date.now())) {
  const [task] = left.run.partitions;
  const { partition } = task;
  const files = [];
  for (const event of goThrough(task, makeSets(task.pass))) {
    if (event.open) files[event.open.file] = { ...event.open, text: "" };
    if (event.append) files[event.append.file].text += Buffer.from(event.append.bytes).toString();
    if (event.close) {
      const { file, count, bytes, sha256, checkpoint } = event.close;
      const { section, type, name, text } = files[file];
      const row = { section, type, name, key: name, count, bytes, sha256 };
      ({ job } = apply(job.record, { publish: { epoch, partition, rows: [row], checkpoint } }, Date.now()));
      console.log(task.pass, name, text);
    }
  }
  ({ job } = apply(job.record, { finishPartition: { epoch, partition } }, Date.now()));
}
console.log(job.unfinished ? "unfinished" : "complete");

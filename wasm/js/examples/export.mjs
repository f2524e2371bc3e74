import { Endpoint, ManifestWriter, Writer, apply, manifestHead, newEntropy, plan, wants } from "ehi-export";

// The front door of a deployment.
const endpoint = new Endpoint({ baseUrl: "https://ehr.example/fhir", auth: "none" });

// 1. Route the request, answer the needs of the kick-off, decide. Store the job, then send the response.
const request = { method: "GET", target: "/fhir/$export?_type=Patient", headers: [] };
const { kickOff } = endpoint.route(request, null, "open").kickOff;
const { accepted } = endpoint.decide(kickOff, "open", { activeJobs: 0 }, newEntropy(), Date.now());
console.log(accepted.response.status, accepted.response.headers);

// 2. Begin, feed lines, store what comes out, publish each file. This job has one task.
const now = new Date();
const until = new Date(now.getTime() + 30_000);
const begin = { holder: "host-a", until, transactionTime: now, snapshot: "1", partitions: 1 };
let { epoch, job } = apply(accepted.job.record, { begin }, Date.now());
const [task] = wants(job.record, "host-a", Date.now()).run.partitions;
const writer = new Writer(plan(job.record), { task });
const lines = new TextEncoder().encode('{"resourceType":"Patient","id":"1"}\n{"resourceType":"Patient","id":"2"}\n');
writer.writeLines(lines, { name: "patients.ndjson", cursor: new Uint8Array(), offset: 0 });
writer.finish();
const files = [];
const rows = [];
for (let event = writer.pollOutput(); event !== null; event = writer.pollOutput()) {
  if (event.open) files[event.open.file] = { ...event.open, bytes: [] };
  if (event.append) files[event.append.file].bytes.push(event.append.bytes);
  if (event.close) {
    const { file, count, bytes, sha256, checkpoint } = event.close;
    const { section, type, name } = files[file];
    const row = { section, type, name, key: name, count, bytes, sha256 };
    const publish = { epoch, partition: task.partition, rows: [row], checkpoint };
    const published = apply(job.record, { publish }, Date.now());
    rows.push(...published.rows);
    job = published.job;
  }
}
({ job } = apply(job.record, { finishPartition: { epoch, partition: task.partition } }, Date.now()));

// 3. The client polls, and gets the manifest.
const poll = { ...request, target: `/fhir/bulk/${accepted.id}` };
const { response } = endpoint.handleRequest(job.record, null, poll, null, "open", Date.now());
const manifest = new ManifestWriter(manifestHead(job.record));
const parts = [...rows.map((row) => manifest.row(row)), manifest.finish()];
console.log(response.status, Buffer.concat(parts).toString());

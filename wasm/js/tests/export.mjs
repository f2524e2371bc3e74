// Whole exports through the package: kick-off, writer, job, manifest, download.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Endpoint, ManifestWriter, PopulationBuilder, SetBuilder, Writer } from "ehi-export";
import { apply, handleTimeout, manifestHead, newEntropy, plan, serveFile, setsWanted, wants } from "ehi-export";

test("an export is kicked off, written, published, listed, served and expires", () => {
  const endpoint = new Endpoint(CONFIG);
  const kickOffHead = { method: "GET", target: "/fhir/$export?_type=Patient,Observation", headers: [] };
  const routed = endpoint.route(kickOffHead, null, "open");
  assert.deepEqual(routed.kickOff.needs, [{ activeJobs: { client: null } }]);
  const { accepted } = endpoint.decide(routed.kickOff.kickOff, "open", { activeJobs: 0 }, newEntropy(), NOW);
  assert.equal(accepted.response.status, 202);
  assert.match(accepted.id, /^[0-9a-f]{32}$/);
  assert.deepEqual(
    accepted.response.headers.find(([name]) => name === "content-location"),
    ["content-location", `https://ehr.example/fhir/bulk/${accepted.id}`],
  );
  assert.equal(accepted.job.unfinished, true);
  assert.equal(accepted.job.client, null);

  assert.deepEqual(wants(accepted.job.record, "host-a", NOW), { run: { population: "nobody", partitions: [] } });
  let { epoch, job } = apply(accepted.job.record, { begin: BEGIN }, NOW);
  const { partitions } = wants(job.record, "host-a", NOW).run;
  assert.deepEqual(partitions, [{ partition: 0, pass: "main", checkpoint: null }]);
  const writer = new Writer(plan(job.record), { task: partitions[0], limits: LIMITS });
  const files = write(writer, LINES, [LINES.length]);
  assert.deepEqual(writer.counts(), { lines: 601, written: 601, passedOver: 0 });
  const rows = [];
  for (const { section, type, name, bytes, count, sha256, checkpoint } of files) {
    assert.equal(sha256, createHash("sha256").update(bytes).digest("hex"));
    const row = { section, type, name, key: `attempt-1/${name}`, count, bytes: bytes.length, sha256 };
    const applied = apply(job.record, { publish: { epoch, partition: 0, rows: [row], checkpoint } }, NOW);
    assert.deepEqual(applied.rows, [row]);
    rows.push(...applied.rows);
    job = applied.job;
  }
  ({ job } = apply(job.record, { finishPartition: { epoch, partition: 0 } }, NOW));
  assert.equal(job.unfinished, false);
  assert.equal(totalCount(files, "Patient"), 300);
  assert.equal(totalCount(files, "Observation"), 300);
  assert.equal(totalCount(files, "OperationOutcome"), 1);
  assert.equal(contents(files, "Patient"), PATIENTS.join(""));
  assert.equal(contents(files, "Observation"), OBSERVATIONS.join(""));

  const pollHead = { method: "GET", target: `/fhir/bulk/${accepted.id}`, headers: [] };
  assert.deepEqual(endpoint.route(pollHead, null, "open"), { job: accepted.id });
  const polled = endpoint.handleRequest(job.record, null, pollHead, null, "open", NOW);
  assert.equal(polled.response.status, 200);
  assert.equal(polled.job, null);
  assert.equal(polled.account.strikes, 0);
  // Without a server the files' names are relative to the manifest; a client that asks gets whole URLs.
  const filesUrl = `https://ehr.example/fhir/bulk/${accepted.id}/files/`;
  assert.equal(manifestHead(job.record).filesUrl, "");
  assert.deepEqual(polled.response.body, { manifest: { ...manifestHead(job.record), filesUrl } });
  const early = endpoint.handleRequest(job.record, polled.account, pollHead, null, "open", NOW + 1);
  assert.equal(early.response.status, 429);
  assert.equal(early.account.strikes, 1);

  assert.deepEqual(readManifest(polled.response.body.manifest, rows), {
    transactionTime: BEGIN.transactionTime,
    request: "https://ehr.example/fhir/$export?_type=Patient,Observation",
    requiresAccessToken: false,
    output: rows.filter(({ section }) => section === "output").map((row) => item(accepted.id, row)),
    error: rows.filter(({ section }) => section === "error").map((row) => item(accepted.id, row)),
  });

  const [row] = rows;
  const fileHead = { method: "GET", target: `/fhir/bulk/${accepted.id}/files/${row.name}`, headers: [] };
  const asked = endpoint.handleRequest(job.record, null, fileHead, null, "open", NOW);
  assert.deepEqual(asked.response.body, { row: row.name });
  assert.deepEqual(serveFile(job.record, row, fileHead).body, { object: { key: row.key, range: null } });
  const part = serveFile(job.record, row, { ...fileHead, headers: [["Range", "bytes=5-9"]] });
  assert.equal(part.status, 206);
  assert.deepEqual(part.body, { object: { key: row.key, range: [5, 10] } });

  assert.equal(handleTimeout(job.record, NOW), null);
  const expired = handleTimeout(job.record, job.wakeAt);
  assert.equal(wants(expired.record, "host-a", job.wakeAt), "remove");
  assert.equal(wants(apply(expired.record, "removed", job.wakeAt).job.record, "host-a", job.wakeAt), "nothing");
});

test("blocks cut anywhere give the same files", () => {
  const whole = summary(write(newWriter(), LINES, [LINES.length]));
  for (let seed = 1; seed <= 30; seed += 1) {
    const cuts = randomCuts(seed, LINES.length);
    assert.deepEqual(summary(write(newWriter(), LINES, cuts)), whole, `seed ${seed}`);
  }
});

test("a writer made from a checkpoint writes the files that were still to come", () => {
  const files = write(newWriter(), LINES, [LINES.length]);
  for (let published = 1; published <= files.length; published += 1) {
    const { checkpoint } = files[published - 1];
    const from = checkpoint.resume.at?.offset ?? 0;
    const writer = newWriter({ task: { partition: 0, checkpoint } });
    const rest = write(writer, LINES, [LINES.length], from);
    assert.deepEqual(summary(rest), summary(files.slice(published)), `after ${published} files`);
  }
});

test("an export of a group takes its members and nobody else", () => {
  const builder = new PopulationBuilder();
  ["p3", "p7", "p3"].forEach((id) => builder.push(id));
  const population = builder.seal();
  const files = write(newWriter({ population }, "/fhir/Group/g/$export"), LINES, [LINES.length]);
  assert.equal(contents(files, "Patient"), PATIENTS[3] + PATIENTS[7]);
  assert.equal(contents(files, "Observation"), OBSERVATIONS[3] + OBSERVATIONS[7]);
  assert.throws(() => newWriter({}, "/fhir/Group/g/$export"), {
    name: "WriterError",
    message: "a population must be given exactly when the export is of some patients only",
  });
});

test("who came to the group after `_since` is exported whole, a member that is no patient too", () => {
  const dated = (type, id, more = {}) =>
    `${JSON.stringify({ resourceType: type, id, ...more, meta: { lastUpdated: "2024-01-01T00:00:00Z" } })}\n`;
  const lines = ["old", "new"].flatMap((id) => [
    dated("Patient", id),
    dated("Observation", id, { subject: { reference: `Patient/${id}` } }),
    dated("Device", id),
  ]);
  const memberships = [
    ["Patient", "old", "2025-01-01T00:00:00Z"],
    ["Patient", "new", "2025-07-01T00:00:00Z"],
    ["Device", "old", "2025-01-01T00:00:00Z"],
    ["Device", "new", "2025-07-01T00:00:00Z"],
  ];
  const target = "/fhir/Group/g/$export?_since=2025-06-01T02:00:00%2B02:00&_type=Patient,Observation,Device";
  const { job } = begun(target, { newMembers: "whole" });
  const { population, newAfter } = wants(job.record, "host-a", NOW).run;
  assert.deepEqual([population, newAfter], [{ group: "g" }, "2025-06-01T00:00:00Z"]);
  const builder = new PopulationBuilder();
  for (const [type, id, start] of memberships) {
    const isNew = Date.parse(start) > Date.parse(newAfter);
    if (type !== "Patient") builder.pushResource(type, id, isNew);
    else if (isNew) builder.pushNew(id);
    else builder.push(id);
  }
  const options = { population: builder.seal(), limits: LIMITS };
  const bytes = new TextEncoder().encode(lines.join(""));
  const files = write(new Writer(plan(job.record), options), bytes, randomCuts(1, bytes.length));
  assert.deepEqual(
    ["Patient", "Observation", "Device"].map((type) => contents(files, type)),
    lines.slice(3),
  );

  const likeOthers = begun(target).job;
  assert.ok(!("newAfter" in wants(likeOthers.record, "host-a", NOW).run));
  assert.deepEqual(write(new Writer(plan(likeOthers.record), options), bytes, []), []);
});

test("an export of a group holds the Provenance of its members, which sets tell from other Provenance", () => {
  const lines = new TextEncoder().encode(OBSERVATIONS.join("") + PROVENANCE.join(""));
  const builder = new PopulationBuilder();
  ["p3", "p7"].forEach((id) => builder.push(id));
  const population = builder.seal();
  let { job, epoch } = begun("/fhir/Group/g/$export?_type=Patient,Observation,Provenance", {
    edition: "2.0",
  });
  const planned = plan(job.record);
  const goThrough = (task, sets) => {
    const writer = new Writer(planned, { task, population, limits: LIMITS });
    sets.forEach(([set, block]) => writer.addSet(set, block));
    const found = [];
    return { files: write(writer, lines, randomCuts(1, lines.length), 0, found), found };
  };
  const [main, context] = wants(job.record, "host-a", NOW).run.partitions;
  assert.deepEqual([main.pass, context.pass], ["main", "context"]);

  // Whoever runs the main pass alone has neither the Provenance nor a finished job.
  const { files } = goThrough(main, []);
  assert.equal(contents(files, "Observation"), OBSERVATIONS[3] + OBSERVATIONS[7]);
  assert.equal(totalCount(files, "Provenance"), 0);
  ({ job } = apply(job.record, { finishPartition: { epoch, partition: main.partition } }, NOW));
  assert.equal(job.unfinished, true);
  assert.deepEqual(wants(job.record, "host-a", NOW).run.partitions, [context]);

  const collect = (collection) => [
    { collected: collection },
    { partition: 0, pass: { collect: collection }, checkpoint: null },
  ];
  assert.deepEqual(setsWanted(planned, "main"), []);
  assert.deepEqual(setsWanted(planned, context.pass), [collect("subjects"), collect("compartment")]);
  const sets = [];
  for (const [set, task] of setsWanted(planned, context.pass)) {
    const made = new SetBuilder(set, 2);
    const { files: none, found } = goThrough(task, sets);
    assert.deepEqual(none, []);
    assert.equal(Buffer.concat(found).toString(), "Observation/o3\nObservation/o7\n");
    found.forEach((bytes) => made.push(bytes));
    sets.push([set, made.seal()]);
  }

  const source = { name: "all.ndjson", cursor: CURSOR, offset: 0 };
  const lacking = new Writer(planned, { task: context, population });
  lacking.addSet(...sets[0]);
  assert.throws(() => lacking.writeLines(lines, source), {
    name: "WriterError",
    message: "a set that this pass needs was not given",
  });
  const unwanted = { name: "WriterError", message: "this pass needs no such set, or has it already" };
  assert.throws(() => lacking.addSet(...sets[0]), unwanted);
  assert.throws(() => lacking.addSet("vetoes", sets[0][1]), unwanted);
  assert.throws(() => lacking.addSet(sets[1][0], sets[1][1].subarray(1)), { name: "SetError" });

  const { files: accompanying } = goThrough(context, sets);
  assert.deepEqual(accompanying.map(({ name }) => name), ["Provenance-p1-0001.ndjson"]);
  assert.equal(contents(accompanying, "Provenance"), PROVENANCE[3] + PROVENANCE[7]);
  ({ job } = apply(job.record, { finishPartition: { epoch, partition: context.partition } }, NOW));
  assert.equal(job.unfinished, false);
});

test("for a stream all types go through the same file", () => {
  const lines = new TextEncoder().encode(PATIENTS[0] + OBSERVATIONS[0] + PATIENTS[1]);
  const files = write(newWriter({ limits: { layout: "together" } }), lines, []);
  assert.deepEqual(
    files.map(({ section, type, name, count }) => ({ section, type, name, count })),
    [{ section: "output", type: undefined, name: "resources-0001.ndjson", count: 3 }],
  );
  assert.equal(files[0].bytes.toString(), PATIENTS[0] + OBSERVATIONS[0] + PATIENTS[1]);
});

test("a superseded line is reported and not exported", () => {
  const writer = newWriter();
  writer.supersedeNextLine();
  const files = write(writer, new TextEncoder().encode(PATIENTS[0] + PATIENTS[1]), [1]);
  assert.equal(contents(files, "Patient"), PATIENTS[1]);
  assert.equal(totalCount(files, "OperationOutcome"), 1);
});

test("the examples of the README run and are what the README shows", () => {
  const run = (name) => {
    const example = fileURLToPath(new URL(`../examples/${name}`, import.meta.url));
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    assert.ok(readme.includes(`\`\`\`js\n${readFileSync(example, "utf8")}\`\`\`\n`));
    return execFileSync(process.execPath, [example], { encoding: "utf8" });
  };
  assert.match(run("export.mjs"), /^200 \{.*"count":2.*\}$/m);
  const ofGroup = run("group.mjs");
  const exported = ofGroup.matchAll(/"resourceType":"(\w+)","id":"(\w+)"/g);
  assert.deepEqual([...exported].map(([, type, id]) => `${type}/${id}`), ["Patient/1", "Provenance/a"]);
  assert.match(ofGroup, /^complete$/m);
  assert.match(run("members.mjs"), /^members of g new after 2025-06-01T00:00:00Z\na block of \d+ bytes\n$/);
});

/** Feeds what follows `from`, in blocks that end where a cut says, and stores what comes out. */
function write(writer, lines, cuts, from = 0, found = []) {
  const opened = [];
  const closed = [];
  const drain = () => {
    for (let event = writer.pollOutput(); event !== null; event = writer.pollOutput()) {
      if (event.open) opened[event.open.file] = { ...event.open, parts: [] };
      if (event.append) opened[event.append.file].parts.push(event.append.bytes);
      if (event.found) found.push(event.found.bytes);
      if (event.close) {
        const { section, type, name, parts } = opened[event.close.file];
        const { count, sha256, checkpoint } = event.close;
        const bytes = Buffer.concat(parts);
        assert.equal(bytes.length, event.close.bytes);
        closed.push({ section, type, name, bytes, count, sha256, checkpoint });
      }
    }
  };
  let offset = from;
  for (const cut of [...cuts, lines.length]) {
    while (offset < cut) {
      const source = { name: "all.ndjson", cursor: CURSOR, offset };
      const { consumed, drainFirst } = writer.writeLines(lines.subarray(offset, cut), source);
      assert.equal(drainFirst, consumed < cut - offset);
      offset += consumed;
      drain();
    }
  }
  writer.finish();
  drain();
  return closed;
}

function newWriter(options = {}, target = "/fhir/$export") {
  return new Writer(plan(begun(target).job.record), { limits: LIMITS, ...options });
}

/** A job that has begun. */
function begun(target, config = {}) {
  const endpoint = new Endpoint({ ...CONFIG, ...config });
  const { kickOff } = endpoint.route({ method: "GET", target, headers: [] }, null, "open").kickOff;
  const facts = { activeJobs: 0, groups: ["g"] };
  const { accepted } = endpoint.decide(kickOff, "open", facts, new Uint8Array(16), NOW);
  return apply(accepted.job.record, { begin: BEGIN }, NOW);
}

function readManifest(head, rows) {
  const manifest = new ManifestWriter(head);
  return JSON.parse(Buffer.concat([...rows.map((row) => manifest.row(row)), manifest.finish()]));
}

function item(id, { type, name, count, bytes, sha256 }) {
  const url = `https://ehr.example/fhir/bulk/${id}/files/${name}`;
  return { type, url, count, extension: { fileSize: bytes, sha256 } };
}

function summary(files) {
  return files.map(({ bytes, ...file }) => ({ ...file, text: bytes.toString() }));
}

function totalCount(files, type) {
  return files.filter((file) => file.type === type).reduce((sum, { count }) => sum + count, 0);
}

function contents(files, type) {
  return files.filter((file) => file.type === type).map(({ bytes }) => bytes.toString()).join("");
}

/** Ascending places below `length`, the same for the same seed: blocks of 1 to 300 bytes. */
function randomCuts(seed, length) {
  const cuts = [];
  let state = seed;
  for (let at = 0; at < length; at += 1 + (state % 300)) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    cuts.push(at);
  }
  return cuts;
}

const NOW = Date.parse("2026-01-01T00:00:00Z");
const CONFIG = { baseUrl: "https://ehr.example/fhir", auth: "none" };
const CURSOR = new TextEncoder().encode("all");
const BEGIN = {
  holder: "host-a",
  until: "2026-01-01T00:01:00Z",
  transactionTime: "2026-01-01T00:00:00Z",
  snapshot: "1",
  partitions: 1,
};
/** Small, so that every file is cut and the queue fills. */
const LIMITS = { shardResourcesMax: 70, queueBytesMax: 4096, appendBytes: 512 };

const NUMBERS = Array.from({ length: 300 }, (_, number) => number);
const PATIENTS = NUMBERS.map(
  (number) => `{"resourceType":"Patient","id":"p${number}","name":[{"family":"Ünïcødé ${number}"}]}\n`,
);
const OBSERVATIONS = NUMBERS.map(
  (number) => `{"resourceType":"Observation","id":"o${number}","subject":{"reference":"Patient/p${number}"}}\n`,
);
const PROVENANCE = NUMBERS.map(
  (number) => `{"resourceType":"Provenance","id":"v${number}","target":[{"reference":"Observation/o${number}"}]}\n`,
);
/** One line is no resource; the last has no line end. */
const LINES = new TextEncoder().encode(
  `${NUMBERS.map((number) => PATIENTS[number] + OBSERVATIONS[number]).join("")}no resource`,
);

// What crosses the boundary, and what does not: forms of values, numbers, bytes, and what is thrown.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as ehi from "ehi-export";
import { Endpoint, ManifestWriter, PopulationBuilder, SetBuilder, Writer } from "ehi-export";
import { apply, newEntropy, plan, setsWanted, wants } from "ehi-export";

test("a principal that lacks a member or has an unknown one is refused", () => {
  const endpoint = new Endpoint({ baseUrl: "https://ehr.example/fhir", auth: "bearer" });
  const known = { client: "c", user: null, patient: null, scopes: ["system/*.rs"], expires: "2030-01-01T00:00:00Z" };
  assert.ok(endpoint.route(KICK_OFF, null, { known }).kickOff);
  const { expires, ...unlimited } = known;
  const wrong = [
    undefined,
    null,
    "",
    "Open",
    {},
    { known: {} },
    { known: unlimited },
    { known: { ...known, admin: true } },
    { known: { ...known, scopes: "system/*.rs" } },
    { known: { ...known, expires: 2 } },
    { known, open: null },
    [known],
  ];
  for (const principal of wrong) {
    assert.throws(() => endpoint.route(KICK_OFF, null, principal), {
      name: "TokenError",
      message: "the principal lacks a member, or has one that is unknown or of the wrong type",
    });
  }
});

test("a configuration is read as strictly", () => {
  const config = { baseUrl: "https://ehr.example/fhir", auth: "none" };
  assert.ok(new Endpoint({ ...config, edition: undefined, retentionSeconds: 60 }));
  assert.throws(() => new Endpoint({ ...config, baseUrl: "http://ehr.example/fhir" }), {
    name: "ConfigError",
    message: "configuration: `baseUrl` is not https; set `insecureHttp` to allow that on loopback",
  });
  assert.throws(() => new Endpoint({ ...config, surprise: 1 }), { name: "ConfigError", message: /`surprise`/ });
  assert.throws(() => new Endpoint({ ...config, edition: null }), { name: "ConfigError" });
});

test("values are plain objects, arrays and numbers that survive JSON", () => {
  const { accepted, kickOff } = acceptedJob();
  for (const value of [accepted, kickOff, plan(accepted.job.record), wants(accepted.job.record, "host-a", NOW)]) {
    assert.deepEqual(JSON.parse(JSON.stringify(value)), value);
  }
  assert.equal(kickOff.types, null);
  assert.equal(typeof accepted.job.wakeAt, "number");
});

test("a date stands for its instant", () => {
  const { accepted } = acceptedJob();
  const { job } = apply(accepted.job.record, { begin: { ...BEGIN, transactionTime: new Date(NOW) } }, NOW);
  assert.equal(plan(job.record).transactionTime, "2026-01-01T00:00:00Z");
});

test("numbers that JavaScript cannot hold exactly are refused both ways", () => {
  const writer = new Writer(begunPlan(), {});
  const at = (offset) => writer.writeLines(new Uint8Array(1), { name: "a", cursor: new Uint8Array(), offset });
  const message = "a number lies beyond 2^53 - 1, where JavaScript's are no longer exact";
  const inexact = { name: "ValueError", message };
  assert.throws(() => at(2 ** 53), inexact);
  assert.throws(() => at(1e300), inexact);
  for (const offset of [-1, 0.5, NaN, Infinity, "1", 1n, null]) {
    assert.throws(() => at(offset), { name: "ValueError", message: "not an offset" });
  }
  assert.equal(at(Number.MAX_SAFE_INTEGER - 1).consumed, 1);

  const { accepted } = acceptedJob();
  const large = accepted.job.record.replace(/"epoch":\d+/, '"epoch":9007199254740992');
  assert.throws(() => apply(large, { begin: BEGIN }, NOW), inexact);
});

test("only bytes are taken for bytes", () => {
  const writer = new Writer(begunPlan(), {});
  const source = { name: "a", cursor: new Uint8Array(), offset: 0 };
  for (const block of ["text", [1, 2], new ArrayBuffer(2), undefined]) {
    assert.throws(() => writer.writeLines(block, source), { name: "ValueError", message: "not a block of bytes" });
  }
  const { endpoint, kickOff } = acceptedJob();
  const decide = (entropy) => endpoint.decide(kickOff, "open", { activeJobs: 0 }, entropy, NOW);
  for (const entropy of ["0123456789abcdef", new Uint8Array(15), new Uint8Array(17), null]) {
    assert.throws(() => decide(entropy), { name: "ValueError", message: "entropy must be 16 bytes" });
  }
});

test("a block that memory cannot hold is refused, and the writer goes on", () => {
  const writer = new Writer(begunPlan(), {});
  const source = { name: "a", cursor: new Uint8Array(), offset: 0 };
  assert.throws(() => writer.writeLines(new Uint8Array(3 * 2 ** 30), source), {
    name: "ValueError",
    message: "more than memory holds, for a block of bytes",
  });
  assert.equal(writer.writeLines(new Uint8Array(1), source).consumed, 1);
});

test("a misspelt option is refused", () => {
  const planned = begunPlan();
  const task = { partition: 0 };
  const wrong = [
    { partition: 0 },
    { task: {} },
    { task: { ...task, checkpont: null } },
    { task: { ...task, pass: "first" } },
    { task, limits: { digests: true } },
    { task, limits: { layout: "by-name" } },
    null,
    0,
  ];
  for (const options of wrong) {
    assert.throws(() => new Writer(planned, options), { name: "ValueError" });
  }
});

test("what is thrown does not quote what was given", () => {
  const { endpoint, kickOff } = acceptedJob();
  const facts = { patients: "Erika Mustermann" };
  assert.throws(
    () => endpoint.decide(kickOff, "open", facts, newEntropy(), NOW),
    (error) => error instanceof Error && !/Erika/.test(error.stack),
  );
});

test("what has ended says so", () => {
  const { accepted } = acceptedJob();
  const manifest = new ManifestWriter(ehi.manifestHead(accepted.job.record));
  manifest.finish();
  assert.throws(() => manifest.finish(), { name: "ManifestError", message: "the manifest has finished" });
  const builder = new PopulationBuilder();
  builder.seal();
  const populationSealed = { name: "PopulationError", message: "the population is sealed" };
  assert.throws(() => builder.push("p"), populationSealed);
  assert.throws(() => builder.pushNew("p"), populationSealed);
  assert.throws(() => builder.pushResource("Device", "d", false), populationSealed);
  const sealed = { name: "SetError", message: "the set is sealed, or was refused" };
  const set = new SetBuilder("vetoes", 1);
  set.push(new TextEncoder().encode("Patient/1\n"));
  assert.ok(set.seal().length > 0);
  assert.throws(() => set.push(new Uint8Array()), sealed);
  assert.throws(() => set.seal(), sealed);
  const overfull = new SetBuilder("vetoes", 1);
  assert.throws(() => overfull.push(new TextEncoder().encode("Patient/1\nPatient/2\n")), {
    name: "SetError",
    message: "a set of the export: more than 1 texts",
  });
  assert.throws(() => overfull.seal(), sealed);
  const writer = new Writer(begunPlan(), {});
  writer.finish();
  assert.throws(() => writer.writeLines(new Uint8Array(), { name: "a", cursor: new Uint8Array(), offset: 0 }), {
    name: "WriterError",
    message: "the writer has finished",
  });
});

test("who cannot be listed is refused, and the others stay", () => {
  const builder = new PopulationBuilder();
  builder.push("p");
  builder.pushNew("q");
  builder.pushResource("Device", "p", true);
  const message = "a listed patient has an id that is not a FHIR id";
  assert.throws(() => builder.push("Device/p"), { name: "PopulationError", message });
  assert.throws(() => builder.pushNew("a b"), { name: "PopulationError", message });
  for (const [type, id] of [["Patient", "p"], ["Observation", "p"], ["device", "p"], ["Device", "a b"], ["Device", ""]]) {
    assert.throws(() => builder.pushResource(type, id, false), {
      name: "PopulationError",
      message: /^a listed member that is no patient must be one of Device, /,
    });
  }
  for (const isNew of [undefined, null, 0, 1, "true"]) {
    assert.throws(() => builder.pushResource("Device", "p", isNew), { name: "ValueError", message: "not a boolean" });
  }
  const again = new PopulationBuilder();
  again.push("p");
  again.pushNew("q");
  again.pushResource("Device", "p", true);
  assert.deepEqual(builder.seal(), again.seal());
});

test("entropy is 16 bytes and never the same", () => {
  assert.equal(newEntropy().length, 16);
  assert.notDeepEqual(newEntropy(), newEntropy());
});

test("whatever is given, an error is thrown and the machines go on", () => {
  const { accepted, endpoint, kickOff } = acceptedJob();
  const { record } = accepted.job;
  const writer = new Writer(begunPlan(), {});
  const manifest = new ManifestWriter(ehi.manifestHead(record));
  const builder = new PopulationBuilder();
  const set = new SetBuilder("vetoes", 10);
  const source = { name: "a", cursor: new Uint8Array(), offset: 0 };
  const calls = [
    [(...given) => new Endpoint(...given), [{}]],
    [(...given) => new ManifestWriter(...given), [{}]],
    [(...given) => new SetBuilder(...given), ["vetoes", 10]],
    [(...given) => new Writer(...given), [begunPlan(), {}]],
    [endpoint.route.bind(endpoint), [KICK_OFF, null, "open"]],
    [endpoint.decide.bind(endpoint), [kickOff, "open", {}, new Uint8Array(16), NOW]],
    [endpoint.handleRequest.bind(endpoint), [record, null, KICK_OFF, null, "open", NOW]],
    [ehi.serveFile, [record, {}, KICK_OFF]],
    [ehi.handleTimeout, [record, NOW]],
    [ehi.wants, [record, "host-a", NOW]],
    [ehi.apply, [record, { begin: BEGIN }, NOW]],
    [ehi.plan, [record]],
    [setsWanted, [begunPlan(), "main"]],
    [ehi.manifestHead, [record]],
    [manifest.row.bind(manifest), [{}]],
    [builder.push.bind(builder), ["p"]],
    [builder.pushNew.bind(builder), ["p"]],
    [builder.pushResource.bind(builder), ["Device", "d", true]],
    [set.push.bind(set), [new TextEncoder().encode("Patient/1\n")]],
    [writer.addSet.bind(writer), ["vetoes", new SetBuilder("vetoes", 1).seal()]],
    [writer.writeLines.bind(writer), [new Uint8Array(), source]],
  ];
  const strange = [
    undefined, null, true, NaN, -1, 0.5, 2 ** 60, 10n, "", "\ud800", "text", Symbol("s"), () => 0, [], [[]], {},
    new Map([["a", 1]]), new Date(NaN), new Uint8Array(3), throwing(), cyclic(), JSON.parse('{"__proto__":1}'),
    deep(100_000),
  ];
  for (const [call, usual] of calls) {
    for (const index of usual.keys()) {
      for (const value of strange) {
        try {
          call(...usual.with(index, value));
        } catch (error) {
          assert.ok(NAMES.has(error.name), String(error.stack));
        }
      }
    }
  }
  assert.equal(wants(record, "host-a", NOW).run.population, "nobody");
  assert.equal(builder.seal().constructor, Uint8Array);
  assert.equal(manifest.finish().constructor, Uint8Array);
  assert.equal(writer.finish(), undefined);
});

function acceptedJob() {
  const endpoint = new Endpoint({ baseUrl: "https://ehr.example/fhir", auth: "none" });
  const { kickOff } = endpoint.route(KICK_OFF, new Uint8Array(), "open").kickOff;
  const { accepted } = endpoint.decide(kickOff, "open", { activeJobs: 0 }, new Uint8Array(16), NOW);
  return { accepted, endpoint, kickOff };
}

function begunPlan() {
  return plan(apply(acceptedJob().accepted.job.record, { begin: BEGIN }, NOW).job.record);
}

function throwing() {
  const fail = () => {
    throw new RangeError("a trap");
  };
  return new Proxy({}, { get: fail, has: fail, ownKeys: fail, getOwnPropertyDescriptor: fail, getPrototypeOf: fail });
}

function cyclic() {
  const value = {};
  value.known = value;
  return value;
}

function deep(levels) {
  let value = null;
  for (let level = 0; level < levels; level += 1) value = { system: value };
  return value;
}

const NOW = Date.parse("2026-01-01T00:00:00Z");
const KICK_OFF = { method: "GET", target: "/fhir/$export", headers: [["accept", "application/fhir+json"]] };
const BEGIN = {
  holder: "host-a",
  until: "2026-01-01T00:01:00Z",
  transactionTime: "2026-01-01T00:00:00Z",
  snapshot: "1",
  partitions: 1,
};
const NAMES = new Set([
  "ConfigError",
  "JobMisuse",
  "ManifestError",
  "PopulationError",
  "SetError",
  "TokenError",
  "ValueError",
  "WriterError",
]);

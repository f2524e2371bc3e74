// The package as a process: requests on stdin, replies on stdout, so that the cases which every binding shares run
// through this one. A frame is a count of parts (u32, little endian), then each part: its length (u32) and its bytes.
//
// A request is the name of an operation and its arguments. A reply is `ok` and the results, or `refused` and the text
// of the error. Anything else that goes wrong is a fault, of this file or of its caller, and ends the process.

import { Endpoint, ManifestWriter, PopulationBuilder, SetBuilder, Writer } from "ehi-export";
import { apply, handleTimeout, manifestHead, plan, serveFile, setsWanted, wants } from "ehi-export";

/** The present machine of each kind; a new one takes the place of the old. */
const present = { endpoint: undefined, manifest: undefined, population: undefined, set: undefined, writer: undefined };

/** By name: from the arguments, as buffers, to the results, as texts or bytes. */
const operations = {
  endpoint_new: (config) => replace("endpoint", new Endpoint(value(config))),
  route: (head, body, principal) => [json(present.endpoint.route(value(head), body, value(principal)))],
  decide: (kickOff, principal, facts, entropy, now) => [
    json(present.endpoint.decide(value(kickOff), value(principal), value(facts), entropy, Number(now))),
  ],
  look_up: (lookUp, principal, found, now) => [
    json(present.endpoint.lookUp(value(lookUp), value(principal), value(found), Number(now))),
  ],
  not_found: () => [json(present.endpoint.notFound())],
  handle_request: (record, account, head, body, principal, now) => [
    json(
      present.endpoint.handleRequest(text(record), value(account), value(head), body, value(principal), Number(now)),
    ),
  ],
  serve_file: (record, row, head) => [json(serveFile(text(record), value(row), value(head)))],
  handle_timeout: (record, now) => [json(handleTimeout(text(record), Number(now)))],
  wants: (record, holder, now) => [json(wants(text(record), text(holder), Number(now)))],
  apply: (record, command, now) => [json(apply(text(record), value(command), Number(now)))],
  plan: (record) => [json(plan(text(record)))],
  manifest_head: (record) => [json(manifestHead(text(record)))],
  manifest_new: (head) => replace("manifest", new ManifestWriter(value(head))),
  manifest_row: (row) => [present.manifest.row(value(row))],
  manifest_finish: () => [present.manifest.finish()],
  population_new: () => replace("population", new PopulationBuilder()),
  population_push: (id) => {
    present.population.push(text(id));
    return [];
  },
  population_push_new: (id) => {
    present.population.pushNew(text(id));
    return [];
  },
  population_push_resource: (type, id, isNew) => {
    present.population.pushResource(text(type), text(id), text(isNew) === "1");
    return [];
  },
  population_seal: () => [present.population.seal()],
  sets_wanted: (exportPlan, pass) => [json(setsWanted(value(exportPlan), value(pass)))],
  set_new: (set, textsMax) => replace("set", new SetBuilder(value(set), Number(textsMax))),
  set_push: (bytes) => {
    present.set.push(bytes);
    return [];
  },
  set_seal: () => [present.set.seal()],
  writer_new: (exportPlan, task, hasPopulation, population, limits) => {
    const options = {
      task: value(task),
      population: text(hasPopulation) === "1" ? population : null,
      limits: value(limits),
    };
    return replace("writer", new Writer(value(exportPlan), options));
  },
  writer_add_set: (set, block) => {
    present.writer.addSet(value(set), block);
    return [];
  },
  writer_write: (block, name, cursor, offset) => {
    const source = { name: text(name), cursor, offset: Number(offset) };
    const { consumed, drainFirst } = present.writer.writeLines(block, source);
    return [String(consumed), drainFirst ? "1" : "0"];
  },
  writer_supersede: () => {
    present.writer.supersedeNextLine();
    return [];
  },
  writer_poll: () => {
    const event = present.writer.pollOutput();
    if (event?.append) return [json({ append: { file: event.append.file } }), event.append.bytes];
    if (event?.found) return [json({ found: {} }), event.found.bytes];
    return [json(event), ""];
  },
  writer_begin_block: (patient) => {
    present.writer.beginBlock(text(patient));
    return [];
  },
  writer_finish: () => {
    present.writer.finish();
    return [];
  },
  writer_counts: () => {
    const { lines, written, passedOver } = present.writer.counts();
    return [lines, written, passedOver].map(String);
  },
};

function reply(name, parts) {
  const operation = operations[name];
  if (operation === undefined) throw new Error(`no operation has the name \`${name}\``);
  try {
    return ["ok", ...operation(...parts)];
  } catch (error) {
    if (!REFUSALS.has(error.name)) throw error;
    return ["refused", error.message];
  }
}

function replace(kind, machine) {
  present[kind]?.free();
  present[kind] = machine;
  return [];
}

function json(answer) {
  return JSON.stringify(answer);
}

/** What is no JSON reads as something that has no JSON form, which the library refuses. */
function value(part) {
  try {
    return JSON.parse(text(part));
  } catch {
    return NaN;
  }
}

function text(part) {
  return part.toString("utf8");
}

async function* requests(input) {
  const chunks = input[Symbol.asyncIterator]();
  let held = Buffer.alloc(0);
  const take = async (length) => {
    const taken = [held];
    for (let size = held.length; size < length; size += taken.at(-1).length) {
      const { value: chunk, done } = await chunks.next();
      if (done && size === 0) return null;
      if (done) throw new Error("the input ends inside a frame");
      taken.push(chunk);
    }
    const bytes = Buffer.concat(taken);
    held = bytes.subarray(length);
    return bytes.subarray(0, length);
  };
  for (let count = await take(4); count !== null; count = await take(4)) {
    const parts = [];
    for (let left = count.readUInt32LE(0); left > 0; left -= 1) {
      const length = await take(4);
      parts.push(await take(length.readUInt32LE(0)));
    }
    yield parts;
  }
}

function frame(parts) {
  const lengths = parts.map((part) => [u32(Buffer.byteLength(part)), Buffer.from(part)]);
  return Buffer.concat([u32(parts.length), ...lengths.flat()]);
}

function u32(number) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return bytes;
}

const REFUSALS = new Set([
  "ConfigError",
  "JobMisuse",
  "ManifestError",
  "PopulationError",
  "SetError",
  "TokenError",
  "ValueError",
  "WriterError",
]);

for await (const [name, ...parts] of requests(process.stdin)) process.stdout.write(frame(reply(text(name), parts)));

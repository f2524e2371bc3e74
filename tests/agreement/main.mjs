// Holds core's search against other implementations: `node main.mjs FOLDER`.
//
// The folder holds `input.json`, which names our program and the data, and gets what is made on the way and `report.md`.
// What must not be is told at the end, and fails the run.

import fs from "node:fs";
import path from "node:path";

import { dataSets } from "./data.mjs";
import { byResourceType, searchParameters } from "./definitions.mjs";
import * as extraction from "./extraction.mjs";
import { made } from "./made.mjs";
import * as medplum from "./medplum.mjs";
import * as program from "./program.mjs";
import { allQuestions } from "./queries.mjs";
import { failures, report } from "./report.mjs";
import * as verdicts from "./verdicts.mjs";

/** Enough for every element and every choice to be there and not. */
const MADE_OF_TYPE = 15;

/** The first few tell what is wrong. */
const FAILURES_SHOWN = 40;

const folder = process.argv[2];
const input = JSON.parse(fs.readFileSync(path.join(folder, "input.json"), "utf8"));

const definitions = searchParameters(input.definitions);
const parametersOf = byResourceType(definitions, input.resourceTypes);
const sets = [...dataSets(input), { name: "made", resources: made(input.definitions, MADE_OF_TYPE) }];
const resources = sets.flatMap((set) => set.resources);
const resourceFile = keep("resources.ndjson", resources);

const values = extraction.compare(resources, parametersOf, program.values(input.program, resourceFile));
const questions = allQuestions(definitions, parametersOf, resources, values.found);
const questionFile = keep(
  "questions.ndjson",
  questions.map(({ query, of }) => ({ query, of })),
);

medplum.index(definitions);
const answers = program.verdicts(input.program, resourceFile, questionFile);
const judged = verdicts.compare(questions, answers, resources, values.found);

const outcome = { definitions, parametersOf, sets, values, questions, judged };
fs.writeFileSync(path.join(folder, "report.md"), report(outcome));
const failed = failures(outcome);
failed.slice(0, FAILURES_SHOWN).forEach((failure) => console.error(failure));
if (failed.length > 0) {
  console.error(`${failed.length} failures`);
  process.exitCode = 1;
}

/** Writes NDJSON into the folder. */
function keep(name, lines) {
  const file = path.join(folder, name);
  fs.writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return file;
}

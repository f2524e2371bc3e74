// Our side: the program `agreement`, which asks core.

import { spawnSync } from "node:child_process";

/** What core's search parameters find in each resource: by code, values or contexts of composites. */
export function values(program, resources) {
  return answers(program, ["values", resources]);
}

/** Core's verdicts on `{ query, of }`, one a line: `{ yes }` or `{ refused }`. */
export function verdicts(program, resources, questions) {
  return answers(program, ["verdicts", resources, questions]);
}

function answers(program, args) {
  const run = spawnSync(program, args, { encoding: "utf8", maxBuffer: 2 ** 30, stdio: ["ignore", "pipe", "inherit"] });
  if (run.error) throw run.error;
  if (run.status !== 0) throw new Error(`${program} ${args[0]} failed`);
  return run.stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

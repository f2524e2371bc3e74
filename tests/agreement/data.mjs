// Resources that others made: three sets from package registries, none of which is ours to commit.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import { groups, random, sample } from "./random.mjs";

/** All sets: name and resources. */
export function dataSets({ carebundle, definitions }) {
  const sets = [
    { name: "carebundle", resources: lines(carebundle) },
    { name: "cql-exec-fhir", resources: bundles(fixtures()) },
    { name: "hl7.fhir.r4.core", resources: files(definitions) },
  ];
  return sets.map(({ name, resources }) => ({ name, resources: some(resources, name) }));
}

/** NDJSON files of a folder. */
function lines(folder) {
  const names = fs.readdirSync(folder).filter((name) => name.endsWith(".ndjson"));
  const texts = names.sort().map((name) => fs.readFileSync(path.join(folder, name), "utf8"));
  return texts.flatMap((text) => text.split("\n").filter(Boolean)).map((line) => JSON.parse(line));
}

/** Resources in bundles, and those that lie alone. */
function bundles(folder) {
  return files(folder).flatMap((resource) => [resource, ...(resource.entry ?? []).map((entry) => entry.resource)]);
}

function files(folder) {
  const names = fs.readdirSync(folder).filter((name) => name.endsWith(".json") && !name.endsWith(".schema.json"));
  const resources = names.sort().map((name) => JSON.parse(fs.readFileSync(path.join(folder, name), "utf8")));
  return resources.filter((resource) => resource.resourceType);
}

function fixtures() {
  const module = createRequire(import.meta.url).resolve("cql-exec-fhir/package.json");
  return path.join(path.dirname(module), "test/fixtures/r4");
}

function some(resources, seed) {
  const byType = groups(resources, (resource) => resource.resourceType);
  return [...byType].flatMap(([name, all]) => sample(all, OF_TYPE, random(`${seed} ${name}`)));
}

/** Of one type and set. Resources of one type are alike. */
export const OF_TYPE = 60;

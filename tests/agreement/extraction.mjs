// Whether core and fhirpath.js find the same values.

import { expressionOf, find } from "./fhirpath.mjs";

/**
 * Holds what core found in each resource against what fhirpath.js finds. Gives the latter for every resource, by code,
 * and the disagreements.
 */
export function compare(resources, parametersOf, ours) {
  const disagreements = [];
  let [compared, values] = [0, 0];
  const found = resources.map((resource, index) => {
    const byCode = new Map();
    for (const parameter of parametersOf.get(resource.resourceType)) {
      const { code, definition } = parameter;
      if (expressionOf(definition) === undefined) continue;
      const theirs = find(resource, parameter);
      if (theirs.length > 0) byCode.set(code, theirs);
      compared += 1;
      values += theirs.length;
      const one = normal(ours[index][code] ?? []);
      const other = normal(theirs.map(valueOf));
      if (one !== other) disagreements.push({ parameter, resource, ours: one, theirs: other });
    }
    return byCode;
  });
  return { found, compared, values, disagreements };
}

function valueOf(found) {
  return Array.isArray(found) ? found.map((values) => values.map(valueOf)) : found.value;
}

/** As text, whatever the order. A union in FHIRPath has each value once, so repetitions do not count. */
function normal(values) {
  return `[${[...new Set(values.map(nested))].sort().join(",")}]`;
}

function nested(value) {
  return Array.isArray(value) ? `(${value.map(normal).join(";")})` : canonical(value);
}

/** JSON with its members in order. */
function canonical(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const names = Object.keys(value).filter((name) => !name.startsWith("__"));
  return `{${names
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`)
    .join(",")}}`;
}

// The official search parameters of R4, for each resource type that has them.

import fs from "node:fs";
import path from "node:path";

/** All SearchParameter resources of a folder, but for the three examples. */
export function searchParameters(folder) {
  return fs
    .readdirSync(folder)
    .filter((name) => name.startsWith("SearchParameter-") && !name.startsWith("SearchParameter-example"))
    .sort()
    .map((name) => JSON.parse(fs.readFileSync(path.join(folder, name), "utf8")));
}

/** Those that resources of each type have: type, code, definition. */
export function byResourceType(parameters, resourceTypes) {
  const ofType = new Map(resourceTypes.map((name) => [name, []]));
  for (const definition of parameters) {
    for (const name of basesOf(definition, resourceTypes)) {
      ofType.get(name)?.push({ resourceType: name, code: definition.code, type: definition.type, definition });
    }
  }
  return ofType;
}

/** The resource types that have a parameter. */
function basesOf(definition, resourceTypes) {
  const bases = definition.base ?? [/^f:([A-Za-z]+)\//.exec(definition.xpath)?.[1]];
  return bases.flatMap((base) => {
    if (base === "Resource") return resourceTypes;
    if (base === "DomainResource") return resourceTypes.filter((name) => !NO_DOMAIN_RESOURCES.includes(name));
    return [base];
  });
}

const NO_DOMAIN_RESOURCES = ["Binary", "Bundle", "Parameters"];

// fhirpath.js with HL7's model of R4: what the official expressions find.

import fhirpath from "fhirpath";
import r4 from "fhirpath/fhir-context/r4/index.js";

/** What a search parameter finds in a resource: `[{ value, type }]`, or for a composite one such list of lists each. */
export function find(resource, { definition }) {
  const expression = expressionOf(definition);
  if (expression === undefined) return [];
  const found = evaluate(resource, expression, { resource });
  if (definition.type !== "composite") return found;
  return found.map((context) =>
    componentsOf(definition).map((component) =>
      evaluate(context.value, component.expression, { resource }, context.path),
    ),
  );
}

/** Whether a condition holds of a value, given what `%` names. */
export function holds(condition, value, path, names) {
  // fhirpath.js cannot start from a number.
  const found =
    typeof value === "number"
      ? evaluate({}, condition.replaceAll("$this", "%this"), { ...names, this: value })
      : evaluate(value, condition, names, path);
  return found.some((verdict) => verdict.value === true);
}

/** The expression as search means it; nothing where the definition has none. */
export function expressionOf(definition) {
  const corrected = CORRECTED[definition.id] ?? definition.expression ?? fromXpath(definition);
  return corrected === undefined ? undefined : asSearchMeans(corrected);
}

/** Components with the types of the parameters that they name, in the order of a query. */
export function componentsOf(definition) {
  return definition.component.map((component) => ({ ...component, expression: filtering(component.expression) }));
}

/** What FHIRPath is too strict for, or knows nothing of without a server. */
function asSearchMeans(expression) {
  return (
    filtering(expression)
      // No resource is fetched: the reference says what it leads to.
      .replace(/where\(\s*resolve\(\) is (\w+)\s*\)/g, "where(leadsTo('$1'))")
      .replace(/hasExtension\(('[^']*')\)/g, "extension($1).exists()")
      // A search by an extension is a search by its value.
      .replace(/extension\('[^']*'\)$/, "$&.value")
  );
}

/** `as` takes one item and fails on more; in these definitions it keeps those of the type, as `ofType` does. */
function filtering(expression) {
  return expression
    .replace(/\(([\w.]+) as (\w+)\)/g, (_, path, type) => `${path}.ofType(${typeName(type)})`)
    .replace(/^([\w.]+) as (\w+)$/, (_, path, type) => `${path}.ofType(${typeName(type)})`)
    .replace(/\.as\((\w+)\)/g, (_, type) => `.ofType(${typeName(type)})`);
}

/** Types that FHIR does not have, as it has them. */
function typeName(name) {
  return { DateTime: "dateTime", DATE: "date", STRING: "string" }[name] ?? name;
}

function fromXpath({ base, xpath }) {
  if (base !== undefined) return undefined;
  const [, type, url] = /^f:(\w+)\/f:extension\[@url='([^']*)'/.exec(xpath);
  return `${type}.extension('${url}')`;
}

function evaluate(data, expression, names, base) {
  const key = `${base ?? ""} ${expression}`;
  if (!compiled.has(key)) {
    compiled.set(key, fhirpath.compile(base === undefined ? expression : { base, expression }, r4, OPTIONS));
  }
  return compiled
    .get(key)(data, names)
    .map((node) => ({ value: plain(node), type: typeOf(node), path: node?.fullPropertyName?.() ?? node?.path }))
    .filter(({ value }) => hasContent(value));
}

/** The JSON value, numbers as JavaScript has them. */
function plain(node) {
  const value = node !== null && typeof node === "object" && "data" in node ? node.data : node;
  return value?.asStr === undefined ? value : Number(value.asStr);
}

function typeOf(node) {
  return fhirpath.types([node])[0]?.replace(/^(FHIR|System)\./, "");
}

/** Whether a value says more than why it is absent. */
function hasContent(value) {
  if (value === null || value === undefined) return false;
  if (typeof value !== "object") return true;
  return Object.keys(value).some((name) => name !== "id" && name !== "extension" && value[name] !== null);
}

/** Whether a Reference says that it leads to a resource of that type. */
function leadsTo(references, type) {
  return references.map((reference) => {
    if (reference?.type !== undefined) return reference.type.replace(STRUCTURE_DEFINITION, "") === type;
    const [, found] =
      /([A-Za-z]+)\/[A-Za-z0-9.-]{1,64}(\/_history\/[A-Za-z0-9.-]{1,64})?$/.exec(reference?.reference) ?? [];
    return found === type;
  });
}

const STRUCTURE_DEFINITION = "http://hl7.org/fhir/StructureDefinition/";

const OPTIONS = {
  resolveInternalTypes: false,
  userInvocationTable: { leadsTo: { fn: leadsTo, arity: { 1: ["String"] } } },
};

const compiled = new Map();

/**
 * Definitions that have no expression but say what is meant, or one that names an extension that does not exist. And two
 * whose extension holds a ContactDetail, of which a text is the name.
 */
const CORRECTED = {
  "codesystem-extensions-CodeSystem-author":
    "CodeSystem.extension('http://hl7.org/fhir/StructureDefinition/codesystem-author').value.name",
  "valueset-extensions-ValueSet-author":
    "ValueSet.extension('http://hl7.org/fhir/StructureDefinition/valueset-author').value.name",
  "patient-extensions-Patient-birthOrderBoolean": "Patient.multipleBirth",
  "patient-extensions-Patient-mothersMaidenName":
    "Patient.extension('http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName').value",
};

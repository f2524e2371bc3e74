// Queries for a search parameter, from values that stand in the data, and the resources that each is asked about.

import { ABOUT } from "./alternatives.mjs";
import { componentsOf } from "./fhirpath.mjs";
import { write } from "./query.mjs";
import { groups, pick, random, sample } from "./random.mjs";

/** Questions about all search parameters that find anything; `found` has by place of the resource what that is. */
export function allQuestions(definitions, parametersOf, resources, found) {
  const typeOf = new Map(definitions.map(({ url, type }) => [url, type]));
  const places = groups([...resources.keys()], (place) => resources[place].resourceType);
  return [...places].flatMap(([resourceType, ofType]) =>
    parametersOf.get(resourceType).flatMap((parameter) => {
      const finds = (place) => found[place].has(parameter.code);
      const holders = ofType.filter(finds);
      if (holders.length === 0 || isRefused(parameter.definition)) return [];
      const others = ofType.filter((place) => !finds(place));
      return questions(parameter, componentTypes(parameter, typeOf), holders, others, found);
    }),
  );
}

/** Parameters that core refuses by name, since FHIR does not say how to compare. */
export function isRefused({ code, type }) {
  return type === "special" || code === "phonetic";
}

/**
 * The questions about one search parameter: criteria, each with the places of a few resources. `holders` are those in
 * which it finds something, `others` those of its type in which it does not.
 */
function questions(parameter, components, holders, others, found) {
  const next = random(`${parameter.resourceType} ${parameter.code}`);
  const asked = new Map();
  const sources = holders.filter((place) => found[place].get(parameter.code).some(isComplete));
  for (const source of sample(sources, SOURCES, next)) {
    for (const criterion of criteria(parameter, components, found[source].get(parameter.code), next)) {
      const query = write({ ...parameter, ...criterion });
      const besides = parameter.type === "composite" && next() < 0.6 ? 0 : 1;
      const of = [source, ...sample(holders, besides, next), ...sample(others, next() < 0.3 ? 1 : 0, next)];
      if (!asked.has(query)) asked.set(query, { ...parameter, ...criterion, components, query, of: [...new Set(of)] });
    }
  }
  return [...asked.values()];
}

/** The types of a composite's components; they follow the definitions that the components name. */
function componentTypes({ definition }, typeOf) {
  if (definition.type !== "composite") return undefined;
  const types = componentsOf(definition).map((component) => typeOf.get(component.definition));
  // Its components give each other's type: the relation is the token, and its target the reference.
  return definition.id === "DocumentReference-relationship" ? types.reverse() : types;
}

/** Whether each component of a composite has a value; anything else is whole by itself. */
function isComplete(found) {
  return !Array.isArray(found) || found.every((values) => values.length > 0);
}

/** What can be asked about one of a resource's values, some of it true and some not. */
function criteria(parameter, componentTypes, values, next) {
  const { type, definition } = parameter;
  const value = pick(values.filter(isComplete), next);
  if (type === "composite") return composites(value, componentTypes, next);
  const about = ABOUT[type](value, next, definition);
  const missing = next() < 0.5;
  const plain = [...some(about, FORMS, next), { modifier: "missing", missing }];
  return plain.map(({ modifier, missing, ...alternative }) => ({
    modifier,
    ...(modifier === "missing" ? { missing } : { alternatives: either(alternative, type, modifier, next) }),
  }));
}

/** Now and then beside an alternative that nothing meets. */
function either(alternative, type, modifier, next) {
  const isPlain = modifier === undefined || modifier === "not";
  // Beside a boolean nothing else may stand.
  const nothing = ["true", "false"].includes(alternative.code) ? undefined : NOTHING[type];
  return isPlain && nothing !== undefined && next() < 0.2 ? [nothing, alternative] : [alternative];
}

/** Parts that are each true of the context, and the same with one of them exchanged. */
function composites(context, types, next) {
  const about = context.map((values, place) => {
    const alternatives = ABOUT[types[place]](pick(values, next), next);
    return alternatives.filter(({ modifier }) => modifier === undefined);
  });
  const all = about.map(([first]) => first);
  const exchanged = about.map((alternatives, place) => all.with(place, pick(alternatives, next)));
  return [all, ...exchanged].map((parts) => ({ alternatives: [{ parts }] }));
}

/** The first and a few of the rest. */
function some([first, ...rest], count, next) {
  return first === undefined ? [] : [first, ...sample(rest, count - 1, next)];
}

/** Resources whose values become queries, for each parameter: enough to meet most forms of a value. */
const SOURCES = 3;

/** Forms of criteria on one value, besides `:missing`. */
const FORMS = 4;

/** What no resource has. */
const NOTHING = { string: { text: "zzz-nothing" }, token: { code: "zzz-nothing" }, uri: { uri: "urn:zzz:nothing" } };

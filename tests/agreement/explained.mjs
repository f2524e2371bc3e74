// Why the referees disagree with core, case by case. A disagreement that no case covers fails the check, and so does a
// case that covers none any more.

import { contains, overlap, timesOf, timesSearched } from "./time.mjs";

/**
 * The first case that covers a disagreement about a verdict. `question` is what was asked, `found` what fhirpath.js
 * finds in the resource, `ours` and `theirs` whether the criterion holds, `:not` left aside.
 */
export function explain(referee, disagreement) {
  return CASES.find((each) => each.referee === referee && each.applies(disagreement));
}

/** What the referee does, what core does instead, and where that is written; `#name` is a part of R4's search page. */
export const CASES = [
  {
    id: "Binary",
    referee: "medplum",
    they: "know no search parameter of Binary, so no criterion holds",
    we: "have those that all resources have",
    source: "#all",
    applies: ({ question }) => question.resourceType === "Binary",
  },
  {
    id: "`as(string)` of another type",
    referee: "medplum",
    they: "take every JSON string for a `string`, a dateTime too",
    we: "tell the types of a choice by the name of its property",
    source: "FHIRPath, `as` and `ofType`: the type or a subclass of it",
    applies: ({ question, found }) =>
      question.modifier === "missing" && found.length === 0 && /as[( ]string/i.test(question.definition.expression),
  },
  {
    id: "date: overlap is equality",
    referee: "medplum",
    they: "call a date equal if the two intervals overlap",
    we: "call it equal if the searched interval contains the other",
    source: "#prefix, rows `eq` and `ne`",
    applies: ({ question, found }) =>
      isDate(question, undefined, "eq", "ne") &&
      couples(question, found).some(([searched, value]) => overlap(searched, value) && !contains(searched, value)),
  },
  {
    id: "date: `ne` without a value",
    referee: "medplum",
    they: "take `ne` for the opposite of `eq`: it holds where there is no value, and of several none may be equal",
    we: "ask for a value that is not equal",
    source: "#prefix, row `ne`: a value is compared, so there is one; one among several is enough, as for every prefix",
    applies: ({ question, found }) => isDate(question, "ne") && found.length !== 1,
  },
  {
    id: "date: no wider than a millisecond",
    referee: "medplum",
    they: "give a date with milliseconds no width, and one without width does not overlap itself",
    we: "find a date equal to itself",
    source: "#date, the range of a dateTime and of an instant",
    applies: ({ question, found }) =>
      isDate(question, undefined, "eq", "ne", "ap") &&
      couples(question, found).some(
        ([searched, value]) => searched.end - searched.start <= 1 && overlap(searched, value),
      ),
  },
  {
    id: "date: `ap` is widened",
    referee: "medplum",
    they: "take `ap` for `eq`",
    we: "widen the searched interval by a tenth of its distance to now",
    source: "#prefix, row `ap`: what R4 recommends",
    applies: ({ question, ours }) => isDate(question, "ap") && ours,
  },
  {
    id: "date: Timing",
    referee: "medplum",
    they: "see no time in a Timing",
    we: "take the outer limits of its events and bounds",
    source: "#date, Timing: only the outer limits matter",
    applies: ({ question, found }) => question.type === "date" && found.some(({ type }) => type === "Timing"),
  },
  {
    id: "reference: an id alone",
    referee: "medplum",
    they: "compare the whole text of a reference",
    we: "find `Type/id` by `id`",
    source: "#reference, form `[id]`",
    applies: ({ question }) =>
      question.type === "reference" && question.alternatives?.some(({ reference }) => /^[^/:]+$/.test(reference)),
  },
  {
    id: "reference: versions",
    referee: "medplum",
    they: "compare the whole text of a reference or canonical",
    we: "find every version where the search names none",
    source: "docs/type-filter.md, reference (S179, D032): the newest search page says so, R4 is silent",
    applies: ({ question, found, ours }) =>
      question.type === "reference" &&
      ours &&
      found.some(({ value }) => /\/_history\/|\|/.test(value.reference ?? value)),
  },
  {
    id: "reference: `resolve() is` of a URL",
    referee: "medplum",
    they: "see the type of a reference only in a relative one",
    we: "see it in an absolute URL and in `Reference.type`, too",
    source: "R4 references.html, literal references: a URL ends with `Type/id`; and `Reference.type`",
    applies: ({ question, found }) =>
      question.type === "reference" &&
      /resolve\(\) is/.test(question.definition.expression) &&
      found.some(({ value }) => value.type !== undefined || value.reference?.includes(":")),
  },
  {
    id: "reference: `as uri` of a canonical",
    referee: "medplum",
    they: "keep of a choice the values of exactly that type",
    we: "keep those of types that specialise it, too, as a canonical is a uri; so does fhirpath.js",
    source: "FHIRPath, `as` and `ofType`: the type or a subclass of it",
    applies: ({ question }) => /^ConceptMap-(source|target)-uri$/.test(question.definition.id),
  },
  {
    id: "string: anywhere",
    referee: "medplum",
    they: "find a text anywhere, with `:contains` and without, over the borders of the parts of a name",
    we: "look at the start of each part",
    source: "#string: equals or starts with the searched value; `:contains` for the rest",
    applies: ({ question, ours, theirs }) => question.type === "string" && theirs && !ours,
  },
  {
    id: "string: every part",
    referee: "medplum",
    they: "write out a name or an address without some of its parts and search that",
    we: "search every part that is a text",
    source: "#string: HumanName and Address are searched in any of their string parts",
    applies: ({ question, ours, found }) =>
      question.type === "string" && ours && found.some(({ type }) => type === "Address" || type === "HumanName"),
  },
  {
    id: "token: the system of a code",
    referee: "medplum",
    they: "take an element of type `code` for one without a system",
    we: "take the system that is written for that of its binding, which it has by definition",
    source: "#token, table of types, row `code`: implied; docs/type-filter.md, token (D021, D022)",
    applies: ({ question, found }) =>
      question.type === "token" &&
      found.some(({ type }) => type === "code") &&
      question.alternatives?.some(({ system }) => system !== undefined),
  },
  {
    id: "token: display is no code",
    referee: "medplum",
    they: "take `display` and `text` for codes without a system",
    we: "look at codes; `:text` asks for the others",
    source: "#token, modifier `:text`",
    applies: ({ question, found, ours }) =>
      question.type === "token" &&
      !ours &&
      question.alternatives?.some(({ code }) =>
        found.some(({ value }) => displays(value).includes(code?.toLowerCase())),
      ),
  },
  {
    id: "token: the case of ids and URIs",
    referee: "medplum",
    they: "never care about case",
    we: "care where an element is an id or a URI",
    source: "R4 datatypes.html, id and uri: case sensitive; docs/type-filter.md, token (S125, D023)",
    applies: ({ question, found, ours }) =>
      question.type === "token" && !ours && found.some(({ type }) => ["canonical", "id", "uri", "url"].includes(type)),
  },
  {
    id: "uri: anywhere",
    referee: "medplum",
    they: "compare a URI as a text: anywhere, whatever its case",
    we: "compare the whole, case and all",
    source: "#uri: precise, case sensitive, and the entire URI",
    applies: ({ question, ours, theirs }) => question.type === "uri" && theirs && !ours,
  },
];

function isDate({ type, alternatives }, ...prefixes) {
  return type === "date" && alternatives?.some(({ prefix }) => prefixes.includes(prefix));
}

/** Each interval that is searched beside each that is found. */
function couples({ alternatives }, found) {
  const values = timesOf(found);
  return timesSearched(alternatives).flatMap((searched) => values.map((value) => [searched, value]));
}

function displays(value) {
  const texts = [value.text, value.display, value.type?.text, ...(value.coding ?? []).map(({ display }) => display)];
  return texts.filter(Boolean).map((text) => text.toLowerCase());
}

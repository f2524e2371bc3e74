// The report, and what it must not say.

import { CASES } from "./explained.mjs";
import { expressionOf } from "./fhirpath.mjs";
import { OF_TYPE as LIMIT } from "./data.mjs";
import { isRefused } from "./queries.mjs";
import { groups } from "./random.mjs";

/** The page for people; the same in every run. */
export function report(outcome) {
  const { definitions, sets, values, questions, judged } = outcome;
  const held = coverage(outcome);
  return `# Agreement with other implementations

Written by \`cargo xtask agreement\`, which fails on a disagreement that nothing below explains, and on an explanation
that nothing needs. What search parameters find is held against fhirpath.js, which evaluates the official expressions;
what queries select against the search matcher of \`@medplum/core\`, and against fhirpath.js again, which evaluates the
criteria written as FHIRPath. The versions are in \`tests/agreement/package.json\`.

## Data

${table(["set", "resources", "types"], sets.map(setRow))}

At most ${LIMIT} of a type are drawn from a set. \`hl7.fhir.r4.core\` are the official definitions, which are resources, too.
\`made\` are generated from the official StructureDefinitions, since the data of others have few types.

## What search parameters find

${values.compared} times a search parameter looked at a resource, and ${values.values} values were found: the same by both sides, but for
how often the same value was found, since a union in FHIRPath has none twice. Of the ${definitions.length} search parameters of R4
${held.inSets.length} found something in the data of others, and ${held.inMade.length} more in what is made.

fhirpath.js is helped where search means something else than FHIRPath says: \`as\` keeps the values of a type, where
FHIRPath fails if there are several values; \`resolve() is\` looks at the text of a reference; a search parameter on an
extension means its value; and definitions at fault are read as \`core/data/r4/SOURCE.md\` says.

## What queries select

${questions.length} queries, made from values of the data, were each asked about a few resources. Each search parameter that found
something has a query that said yes and one that said no.

${table(["type", "queries", "yes", "no", ...REFEREE, ...REFEREE.with(0, "FHIRPath")], [...judged.types].sort().map(typeRow))}

Medplum is asked where it has a notion of the modifier, but about quantities, numbers and composites only whether they
are missing. So is FHIRPath about dates, which it compares otherwise than search.

## Where Medplum differs

${table(
  ["case", "verdicts", "they", "we", "written"],
  CASES.map(({ id, they, we, source }) => [id, judged.explained.get(id) ?? 0, they, we, source]),
)}

\`#name\` is a part of R4's page on search, \`http://hl7.org/fhir/R4/search.html\`.

## Search parameters without a value in the data

The definitions of these do not say where to look: ${names(held.nowhere)}.

These are not asked about, since core refuses them by name: ${names(definitions.filter(isRefused))}.

These found nothing in the data of others, but something in what is made:

${byBase(held.inMade)}
`;
}

/** What is wrong, one a line. */
export function failures(outcome) {
  const { values, judged } = outcome;
  const held = coverage(outcome);
  const askable = [...held.inSets, ...held.inMade].filter((definition) => !isRefused(definition));
  return [
    ...values.disagreements.map(
      ({ parameter, resource, ours, theirs }) =>
        `${parameter.definition.id} of ${resource.resourceType}/${resource.id}: core finds ${ours}, fhirpath.js ${theirs}`,
    ),
    ...judged.refused.map((text) => `refused: ${text}`),
    ...judged.unexplained,
    ...CASES.filter(({ id }) => !judged.explained.has(id)).map(({ id }) => `the case \`${id}\` explains nothing`),
    ...askable
      .filter(({ id }) => !(judged.parameters.get(id)?.yes > 0 && judged.parameters.get(id).no > 0))
      .map(({ id }) => `${id} lacks a yes or a no`),
    ...[...judged.types]
      .filter(([, { yes, no }]) => Math.min(yes, no) < SHARE_MIN * (yes + no))
      .map(([type, { yes, no }]) => `${type}: ${yes} yes and ${no} no are not balanced`),
    ...held.nowhere.filter((each) => expressionOf(each) !== undefined).map(({ id }) => `${id} finds nothing`),
  ];
}

/** The definitions by where they find anything. */
function coverage({ definitions, parametersOf, sets, values }) {
  const seen = { ofOthers: new Set(), made: new Set() };
  let place = 0;
  for (const { name, resources } of sets) {
    const finding = name === "made" ? seen.made : seen.ofOthers;
    for (const { resourceType } of resources) {
      const codes = values.found[place];
      parametersOf
        .get(resourceType)
        .filter(({ code }) => codes.has(code))
        .forEach(({ definition }) => finding.add(definition.id));
      place += 1;
    }
  }
  return {
    inSets: definitions.filter(({ id }) => seen.ofOthers.has(id)),
    inMade: definitions.filter(({ id }) => !seen.ofOthers.has(id) && seen.made.has(id)),
    nowhere: definitions.filter(({ id }) => !seen.ofOthers.has(id) && !seen.made.has(id)),
  };
}

function typeRow([type, { queries, yes, no, medplum, medplumExplained, fhirpath, fhirpathExplained }]) {
  const referees = [
    [medplum, medplumExplained],
    [fhirpath, fhirpathExplained],
  ].flatMap(([asked, explained]) => [asked, asked - explained, explained]);
  return [type, queries, yes, no, ...referees];
}

function setRow({ name, resources }) {
  return [name, resources.length, new Set(resources.map(({ resourceType }) => resourceType)).size];
}

/** Rows of cells, of which the numbers stand to the right. */
function table(head, rows) {
  const alignments = head.map((_, column) => (typeof rows[0][column] === "number" ? "---:" : "---"));
  return [head, alignments, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function names(definitions) {
  return definitions.map(({ id }) => `\`${id}\``).join(", ");
}

/** Codes under the types that they are defined for. */
function byBase(definitions) {
  const ofBase = groups(definitions, ({ base, id }) => base?.join(", ") ?? id.split("-")[2]);
  return [...ofBase]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(
      ([base, all]) =>
        `- ${base}: ${all
          .map(({ code }) => `\`${code}\``)
          .sort()
          .join(" ")}`,
    )
    .join("\n");
}

const REFEREE = ["Medplum", "agreed", "explained"];

/** Of either verdict, or a referee that always says the same would agree. */
const SHARE_MIN = 0.3;

// Whether core and the two referees say the same about queries.

import { explain } from "./explained.mjs";
import * as medplum from "./medplum.mjs";
import * as reading from "./reading.mjs";

/** All that was said: by type of parameter, by search parameter, and what is explained or not. */
export function compare(questions, answers, resources, found) {
  const report = { types: new Map(), parameters: new Map(), explained: new Map(), unexplained: [], refused: [] };
  questions.forEach((question, place) => {
    const answer = answers[place];
    if (answer.refused !== undefined) {
      report.refused.push(`${question.query}: ${answer.refused}`);
      return;
    }
    const counts = entry(report.types, question.type, () => ({ queries: 0, yes: 0, no: 0, ...REFEREES }));
    counts.queries += 1;
    const judges = judgesOf(question);
    for (const index of question.of) {
      const ours = answer.yes.includes(index);
      const values = found[index].get(question.code) ?? [];
      counts[ours ? "yes" : "no"] += 1;
      entry(report.parameters, question.definition.id, () => ({ yes: 0, no: 0 }))[ours ? "yes" : "no"] += 1;
      for (const [referee, judge] of judges) {
        const theirs = judge(resources[index], values);
        if (theirs === undefined) continue;
        counts[referee] += 1;
        if (theirs !== ours) settle(report, counts, referee, { question, found: values, ours, theirs });
      }
    }
  });
  return report;
}

function judgesOf(question) {
  const matcher = medplum.judge(question);
  return [
    ...(matcher === undefined ? [] : [["medplum", matcher]]),
    ["fhirpath", (_, values) => reading.verdict(question, values)],
  ];
}

function settle(report, counts, referee, { question, found, ours, theirs }) {
  const isNot = question.modifier === "not";
  const explanation = explain(referee, { question, found, ours: ours !== isNot, theirs: theirs !== isNot });
  if (explanation === undefined) {
    report.unexplained.push(
      `${referee} says ${theirs}, core ${ours}: ${decodeURIComponent(question.query)} on ${JSON.stringify(found)}`,
    );
  } else {
    counts[`${referee}Explained`] += 1;
    report.explained.set(explanation.id, (report.explained.get(explanation.id) ?? 0) + 1);
  }
}

function entry(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}

const REFEREES = { medplum: 0, medplumExplained: 0, fhirpath: 0, fhirpathExplained: 0 };

// The second referee: criteria written as FHIRPath, which fhirpath.js evaluates on the values that it found itself.
//
// It knows no dates, since FHIRPath leaves a comparison open where search compares intervals.

import { holds } from "./fhirpath.mjs";

/** Whether what a parameter finds meets a criterion, or nothing where FHIRPath cannot say. */
export function verdict({ type, modifier, alternatives, missing, components }, found) {
  if (modifier === "missing") return (found.length === 0) === missing;
  const one = type === "composite" ? composite(components) : single(type, modifier === "not" ? undefined : modifier);
  const verdicts = found.flatMap((value) => alternatives.map((alternative) => one(alternative, value)));
  if (verdicts.includes(undefined)) return undefined;
  return verdicts.includes(true) !== (modifier === "not");
}

function composite(components) {
  return ({ parts }, context) => {
    const verdicts = parts.map((part, place) => {
      const each = context[place].map((value) => single(components[place])(part, value));
      return each.includes(undefined) ? undefined : each.includes(true);
    });
    return verdicts.includes(undefined) ? undefined : verdicts.every(Boolean);
  };
}

function single(type, modifier) {
  const read = { number, quantity, reference, string, token, uri }[type];
  return (alternative, { value, type: kind, path }) => {
    const reading = read?.(alternative, kind, modifier, value);
    if (reading === undefined) return undefined;
    return reading === false ? false : holds(reading[0], value, path, reading[1]);
  };
}

function token(alternative, kind, modifier, value) {
  const { system, code } = alternative;
  const names = tokenNames(alternative);
  if (modifier === "text") {
    const texts = { CodeableConcept: "(text | coding.display)", Coding: "display", Identifier: "type.text" }[kind];
    return texts && [`${texts}.where($this.lower().startsWith(%text)).exists()`, names];
  }
  if (modifier === "of-type") {
    const coding = `type.coding.where(${within("code", alternative)}).exists()`;
    return kind === "Identifier" ? [`${coding} and value.lower() = %value`, names] : false;
  }
  switch (kind) {
    case "CodeableConcept":
      return [`coding.where(${within("code", alternative)}).exists()`, names];
    case "Coding":
      return [within("code", alternative), names];
    case "Identifier":
      return [within("value", alternative), names];
    case "ContactPoint":
      return ["value.lower() = %code", names];
    case "code":
      // The system is that of the binding, which neither side knows.
      return code === undefined || system === "" ? false : ["$this.lower() = %code", names];
    case "canonical":
    case "id":
    case "oid":
    case "uri":
    case "url":
    case "uuid":
      return system ? false : ["$this = %plain", names];
    default:
      return system || typeof value === "object" ? false : ["$this.toString().lower() = %code", names];
  }
}

/** System and code in one and the same element, which has the code in that property. */
function within(property, { system, code }) {
  const isSystem = system === undefined ? [] : [system === "" ? "system.empty()" : "system = %system"];
  return [...isSystem, ...(code === undefined ? [] : [`${property}.lower() = %code`])].join(" and ");
}

function tokenNames({ system, code, value, text }) {
  const [lowCode, lowValue, lowText] = [code, value, text].map((each) => each?.toLowerCase());
  return { system, code: lowCode, plain: code, value: lowValue, text: lowText };
}

function string({ text }, kind, modifier) {
  const condition = { contains: "$this.lower().contains(%text)", exact: "$this = %plain" }[modifier];
  const parts = { Address: ADDRESS_PARTS, HumanName: NAME_PARTS }[kind] ?? "$this";
  return [
    `${parts}.where(${condition ?? "$this.trim().lower().startsWith(%text)"}).exists()`,
    { text: text.toLowerCase(), plain: text },
  ];
}

function reference(alternative, kind, modifier) {
  if (modifier === "identifier") {
    const condition = `identifier.where(${within("value", alternative)}).exists()`;
    return kind === "Reference" ? [condition, tokenNames(alternative)] : false;
  }
  const { reference, version } = alternative;
  const text = version === undefined ? reference : `${reference}|${version}`;
  const wanted = modifier === undefined ? text : `${modifier}/${text}`;
  const [type, id] = wanted.includes(":") ? [] : wanted.includes("/") ? wanted.split("/") : ["[A-Z][A-Za-z]+", wanted];
  const names = { wanted, local: `^${type}/${id}(/_history/.*)?$`, type: `^${type}$`, id };
  const place = { Reference: "reference", canonical: "$this", uri: "$this", url: "$this" }[kind];
  // A Bundle's first resource, which is its own target.
  if (place === undefined) return ["id = %id and type().name.matches(%type)", names];
  const isSame = `${place} = %wanted${kind === "Reference" ? "" : " or $this.startsWith(%wanted & '|')"}`;
  return [id === undefined ? isSame : `${place}.matches(%local)`, names];
}

function uri({ uri }, kind, modifier) {
  const names = { uri };
  if (modifier === "below") return ["$this.startsWith(%uri)", names];
  if (modifier === "above") return ["%uri.startsWith($this)", names];
  return [kind === "canonical" ? "$this = %uri or $this.startsWith(%uri & '|')" : "$this = %uri", names];
}

function number({ prefix = "eq", number }, kind) {
  if (kind === "Range") return [RANGES[prefix], bounds(number)];
  if (!["decimal", "integer", "positiveInt", "unsignedInt"].includes(kind)) return undefined;
  const isExact = kind !== "decimal" && prefix !== "ap";
  return [POINTS[isExact && ["eq", "ne"].includes(prefix) ? `exactly ${prefix}` : prefix]("$this"), bounds(number)];
}

function quantity({ prefix = "eq", number, system, code }, kind) {
  const isPoint = QUANTITIES.includes(kind);
  if (!isPoint && kind !== "Range") return kind === "SampledData" ? undefined : false;
  const unit = system
    ? " and system = %system" + (code === undefined ? "" : " and code = %code")
    : code === undefined
      ? ""
      : " and (code = %code or unit = %code)";
  const names = { ...bounds(number), system, code };
  if (kind === "Range") {
    const hasUnit = (end) => `(${end}.empty() or ${end}.where(true${unit}).exists())`;
    return [`${hasUnit("low")} and ${hasUnit("high")} and (${RANGES[prefix]})`, names];
  }
  if (kind === "Money") {
    const isCurrency = system && system !== CURRENCIES ? "false" : code === undefined ? "true" : "currency = %code";
    return [`${isCurrency} and ${POINTS[prefix]("value")}`, names];
  }
  return [`comparator.empty() and ${POINTS[prefix]("value")}${unit}`, names];
}

/** A number, half a unit of its last digit to either side, and a tenth of it to either side. */
function bounds(text) {
  const n = Number(text);
  const decimals = /\.(\d*)/.exec(text)?.[1].length ?? 0;
  const half = 0.5 / 10 ** decimals;
  const near = (value) => Number(value.toPrecision(15));
  return {
    n,
    low: near(n - half),
    high: near(n + half),
    around_low: near(n - Math.abs(n) / 10),
    around_high: near(n + Math.abs(n) / 10),
  };
}

const POINTS = {
  eq: (value) => `(${value} >= %low and ${value} < %high)`,
  ne: (value) => `(${value} < %low or ${value} >= %high)`,
  "exactly eq": (value) => `(${value} = %n)`,
  "exactly ne": (value) => `(${value} != %n)`,
  gt: (value) => `(${value} > %n)`,
  lt: (value) => `(${value} < %n)`,
  ge: (value) => `(${value} >= %n)`,
  le: (value) => `(${value} <= %n)`,
  sa: (value) => `(${value} > %n)`,
  eb: (value) => `(${value} < %n)`,
  ap: (value) => `(${value} >= %around_low and ${value} <= %around_high)`,
};

/** Of a Range, which has no end where none is written. */
const RANGES = {
  eq: "low.exists() and high.exists() and low.value >= %low and high.value < %high",
  ne: "(low.exists() and high.exists() and low.value >= %low and high.value < %high).not()",
  gt: "high.empty() or high.value > %n",
  lt: "low.empty() or low.value < %n",
  ge: "high.empty() or high.value >= %n",
  le: "low.empty() or low.value <= %n",
  sa: "low.exists() and low.value > %n",
  eb: "high.exists() and high.value < %n",
  ap: "(low.empty() or low.value <= %around_high) and (high.empty() or high.value >= %around_low)",
};

const QUANTITIES = ["Age", "Count", "Distance", "Duration", "Money", "MoneyQuantity", "Quantity", "SimpleQuantity"];

const CURRENCIES = "urn:iso:std:iso:4217";

const ADDRESS_PARTS = "(line | city | district | state | postalCode | country | text)";

const NAME_PARTS = "(family | given | prefix | suffix | text)";

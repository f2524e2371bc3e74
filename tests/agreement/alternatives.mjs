// What can be asked about a value that stands in the data; about half of it is true.

import { pick } from "./random.mjs";

/**
 * By the type of the search parameter: alternatives with their modifier that can be asked about a value, which comes as
 * `{ value, type }`. The first is true of it, if one can be.
 */
export const ABOUT = {
  date: ({ value, type }, next) => {
    const text = pick(datesOf(value, type), next);
    // A text, an age or a range, which a date parameter also finds.
    if (text === undefined) return [{ date: "2020" }, { prefix: "lt", date: "2020" }];
    const day = text.slice(0, 10);
    const shorter = [text.slice(0, 4), text.slice(0, 7), day].filter((date) => date.length <= text.length);
    const shifted = `${String(Number(text.slice(0, 4)) + (next() < 0.5 ? 1 : -1)).padStart(4, "0")}${day.slice(4)}`;
    const other = /-02-29$/.test(shifted) ? shifted.slice(0, 7) : shifted;
    const dates = [...shorter, text, other, other.slice(0, 4)];
    return [{ date: text }, { date: other }, ...PREFIXES.map((prefix) => ({ prefix, date: pick(dates, next) }))];
  },
  number: ({ value }, next) => numbers(typeof value === "number" ? value : (value.low ?? value.high).value, next),
  quantity: ({ value }, next) => {
    const one = value.value === undefined ? (value.low ?? value.high ?? {}) : value;
    const { value: number = 1, unit } = one;
    const [system, code] = one.currency ? ["urn:iso:std:iso:4217", one.currency] : [one.system, one.code];
    const units = [{}];
    if (system && code) units.push({ system, code }, { system: "http://zzz.example", code }, { system });
    if (code ?? unit) units.push({ system: "", code: code ?? unit });
    return numbers(number, next).map((alternative, place) => ({
      ...alternative,
      ...(place === 0 ? units.at(1) : pick(units, next)),
    }));
  },
  reference: ({ value, type }, next, definition) => {
    if (type === "Reference") return references(value, definition);
    if (typeof value === "string") return canonicals(value);
    // A Bundle's first resource, which is its own target.
    const ids = value.id === undefined ? [] : [`${value.resourceType}/${value.id}`, value.id];
    return [...ids, "zzz"].map((reference) => ({ reference }));
  },
  string: ({ value }, next) => {
    const text = typeof value === "object" ? pick(textsOf(value), next) : value;
    const words = text?.match(/[\p{L}\p{N}]+/gu) ?? [];
    if (words.length === 0) return [{ modifier: "exact", text: text || "zzz" }, { text: "zzz" }];
    const start = /^[\p{L}\p{N} ]+/u.exec(text)?.[0].trim() ?? "";
    return [
      { text: start === "" ? words[0] : start.slice(0, 12).trim() },
      { text: `zzz${words[0]}` },
      { text: words[0].toUpperCase().slice(0, 4) },
      { text: words.at(-1) },
      { text: words.at(-1).slice(1) || "q" },
      { modifier: "contains", text: pick(words, next).slice(1, 6) || words[0] },
      { modifier: "contains", text: "zzz" },
      { modifier: "exact", text },
      { modifier: "exact", text: text.toLowerCase() },
      { modifier: "exact", text: words[0] },
    ];
  },
  token: ({ value, type }, next, definition) => {
    if (type === "CodeableConcept") return codings({ ...pick(value.coding ?? [{}], next), text: value.text });
    if (type === "Coding") return codings(value);
    if (type === "Identifier") return identifiers(value);
    return codes(type === "ContactPoint" ? value.value : String(value), type, definition);
  },
  uri: ({ value }) => {
    const shorter = value.slice(0, -1) || "urn:zzz";
    const upper = value.toUpperCase() === value ? "urn:zzz" : value.toUpperCase();
    const about = [{ uri: value }, { uri: `${value}/zzz` }, { uri: upper }, { uri: shorter }];
    if (!value.includes("://")) return about;
    about.push({ modifier: "above", uri: `${value}/x` }, { modifier: "above", uri: `${value}?x` });
    about.push({ modifier: "below", uri: shorter }, { modifier: "below", uri: value.replace(/[^/]*$/, "") });
    return about;
  },
};

function numbers(value, next) {
  const step = Number.isInteger(value) ? 1 : 0.25;
  // Few digits, so that half a unit of the last one is a number of JavaScript's.
  const texts = [value, value + (next() < 0.5 ? step : -step)].map((number) => String(Math.round(number * 1e4) / 1e4));
  return [
    { number: texts[0] },
    { number: texts[1] },
    ...PREFIXES.map((prefix) => ({ prefix, number: pick(texts, next) })),
  ];
}

function references({ reference, identifier }, definition) {
  const about = [];
  const [, type, id] = /^([A-Z][A-Za-z]+)\/([A-Za-z0-9.-]{1,64})$/.exec(reference) ?? [];
  if (id !== undefined) about.push({ reference }, { reference: id });
  else if (/^[a-z]+:/.test(reference)) about.push({ reference });
  if (id !== undefined && (definition?.target ?? [type]).includes(type)) about.push({ modifier: type, reference: id });
  if (identifier?.value !== undefined) {
    const asked = { modifier: "identifier", system: identifier.system, code: identifier.value };
    about.push(asked, { ...asked, code: "zzz" });
  }
  return [...about, { reference: `${type ?? "Patient"}/zzz` }, { reference: "zzz" }];
}

function canonicals(value) {
  const [reference, version] = value.split("|");
  const others = [{ reference: "http://zzz.example/1" }, { reference: "http://zzz.example" }];
  return [{ reference, version }, { reference }, { reference, version: "0.zzz" }, ...others];
}

function codings({ system, code, text, display }) {
  const about = tokens(system, code);
  if (display !== undefined) about.push({ code: display });
  return [...about, ...texts(text ?? display)];
}

function identifiers({ system, value, type }) {
  const about = [...tokens(system, value), ...texts(type?.text)];
  const [kind] = type?.coding ?? [];
  if (kind?.system === undefined || kind.code === undefined || value === undefined) return about;
  const asked = { modifier: "of-type", system: kind.system, code: kind.code, value };
  return [...about, asked, { ...asked, value: "zzz" }];
}

/** What has a code and perhaps a system. */
function tokens(system, code) {
  const about = [];
  if (code !== undefined) {
    about.push({ code }, { code: code.toUpperCase() }, { modifier: "not", code }, { system: "", code });
  }
  if (system !== undefined) about.push({ system }, { system: `${system}/zzz` });
  if (system !== undefined && code !== undefined) {
    about.push({ system, code }, { modifier: "not", system, code }, { system, code: "zzz" });
  }
  return [...about, { code: "zzz" }, { modifier: "not", code: "zzz" }, { system: "http://zzz.example", code: "zzz" }];
}

function texts(text) {
  const start = /^[A-Za-z0-9]{2,}/.exec(text ?? "")?.[0];
  return start === undefined ? [] : [start, "zzz"].map((text) => ({ modifier: "text", text }));
}

/** A primitive value or that of a ContactPoint, which has no system. */
function codes(code, type, definition) {
  if (code === undefined) return [{ code: "zzz" }];
  // Anything else is refused, and so are a system and another case.
  if (["true", "false"].includes(code)) {
    return ["true", "false"].flatMap((code) => [{ code }, { modifier: "not", code }]);
  }
  const about = [{ code }, { code: "zzz" }, { modifier: "not", code }, { modifier: "not", code: "zzz" }];
  // Ids and ContactPoints are refused a system.
  if (definition?.code !== "_id" && type !== "ContactPoint") {
    about.push({ system: "", code }, { system: "http://zzz.example", code });
  }
  return definition?.code === "_id" ? about : [...about, { code: code.toUpperCase() }];
}

/** The dates in a value. */
function datesOf(value, type) {
  if (type === "Period") return [value.start, value.end].filter(Boolean);
  if (type === "Timing") return [...(value.event ?? []), ...datesOf(value.repeat?.boundsPeriod ?? {}, "Period")];
  return ["date", "dateTime", "instant"].includes(type) ? [value] : [];
}

/** The texts in a HumanName or an Address that are searched. */
function textsOf(value) {
  const { family, given, prefix, suffix, line, city, district, state, postalCode, country, text } = value;
  return [family, given, prefix, suffix, line, city, district, state, postalCode, country, text].flat().filter(Boolean);
}

const PREFIXES = ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"];

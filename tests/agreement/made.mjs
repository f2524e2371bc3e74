// Resources made from the official definitions, for the search parameters of which no data set holds a value.

import fs from "node:fs";
import path from "node:path";

import { random } from "./random.mjs";

/** A few resources of each concrete type, each with most of its elements, some of them twice. */
export function made(folder, count) {
  const definitions = new Definitions(folder);
  return definitions.resources().flatMap((name) =>
    Array.from({ length: count }, (_, place) => {
      const maker = new Maker(definitions, random(`${name} ${place}`), place);
      return { resourceType: name, id: `made-${place}`, ...maker.members(name, 0) };
    }),
  );
}

/** The StructureDefinitions of R4's own types. */
class Definitions {
  #byName = new Map();
  #children = new Map();

  constructor(folder) {
    for (const name of fs
      .readdirSync(folder)
      .filter((name) => name.startsWith("StructureDefinition-"))
      .sort()) {
      const definition = JSON.parse(fs.readFileSync(path.join(folder, name), "utf8"));
      if (definition.derivation === "constraint") continue;
      this.#byName.set(definition.type, definition);
      for (const element of definition.snapshot?.element ?? []) {
        const parent = element.path.split(".").slice(0, -1).join(".");
        if (!this.#children.has(parent)) this.#children.set(parent, []);
        this.#children.get(parent).push(element);
      }
    }
  }

  /** The names of the concrete resource types. */
  resources() {
    const isConcrete = ({ kind, abstract, derivation }) =>
      kind === "resource" && !abstract && derivation === "specialization";
    return [...this.#byName].filter(([, definition]) => isConcrete(definition)).map(([name]) => name);
  }

  /** The elements right below a path. */
  children(path) {
    return this.#children.get(path) ?? [];
  }

  isPrimitive(type) {
    return this.#byName.get(type)?.kind === "primitive-type";
  }
}

class Maker {
  #definitions;
  #next;
  #place;

  /** `place` is that of the resource among those of its type, which take turns. */
  constructor(definitions, next, place) {
    this.#definitions = definitions;
    this.#next = next;
    this.#place = place;
  }

  /** The members of an element, or of a type, by the path of its definition. */
  members(path, depth) {
    const members = {};
    for (const element of this.#definitions.children(path)) {
      const name = element.path.slice(path.length + 1);
      const isLeftOut = LEFT_OUT.includes(name) || (depth === 0 && LEFT_OUT_OF_RESOURCES.includes(name));
      if (!isLeftOut && this.#isIn(element, depth)) this.#add(members, name, element, depth);
    }
    this.#addExtensions(members, path);
    return members;
  }

  #isIn(element, depth) {
    const chance = element.type?.length > 1 ? 0.95 : depth < 2 ? 0.93 : 0.6;
    return depth < DEPTH_MAX && this.#next() < chance;
  }

  #add(members, name, element, depth) {
    const type = this.#turn(element.type ?? [{ code: "BackboneElement" }]);
    const property = name.replace("[x]", `${type.code[0].toUpperCase()}${type.code.slice(1)}`);
    const count = element.max === "1" || element.max === "0" ? 1 : 1 + Math.floor(this.#next() * 2);
    const values = Array.from({ length: count }, () => this.#value(element, type, depth)).filter(
      (value) => value !== undefined,
    );
    if (values.length > 0) members[property] = element.max === "1" ? values[0] : values;
  }

  #value(element, { code, targetProfile }, depth) {
    const type = code.replace("http://hl7.org/fhirpath/System.String", "string");
    const make = MADE[type];
    if (element.path === "RelatedArtifact.type") return this.#turn(RELATIONS);
    if (type === "Reference") return this.#reference(targetProfile ?? []);
    if (make !== undefined) return make(this.#next);
    if (this.#definitions.isPrimitive(type)) return word(this.#next);
    if (element.contentReference !== undefined) return this.#object(element.contentReference.slice(1), depth + 2);
    return this.#object(["BackboneElement", "Element"].includes(type) ? element.path : type, depth + 1);
  }

  #object(path, depth) {
    const members = this.members(path, depth);
    return Object.keys(members).length === 0 ? undefined : members;
  }

  #reference(profiles) {
    const target =
      this.#turn(profiles)
        ?.replace(/^.*\//, "")
        .replace(/^Resource$/, "Patient") ?? "Patient";
    const id = `made-${Math.floor(this.#next() * 4)}`;
    const chance = this.#next();
    const identifier = { system: "http://made.example/ids", value: word(this.#next) };
    if (chance < 0.6) return { reference: `${target}/${id}` };
    if (chance < 0.7) return { reference: `http://made.example/fhir/${target}/${id}` };
    if (chance < 0.8) return { reference: `${target}/${id}/_history/2`, identifier };
    return chance < 0.9
      ? { type: target, identifier }
      : { reference: `urn:uuid:${UUID}${Math.floor(this.#next() * 9)}`, display: "Made" };
  }

  /** The extensions that are search parameters. */
  #addExtensions(members, path) {
    const extensions = EXTENSIONS.filter(([of]) => of === path).map(([, url, property, make]) => ({
      url,
      [property]: make(this.#next),
    }));
    if (extensions.length > 0) members.extension = extensions;
  }

  /** One of a few by turns, of many by chance. */
  #turn(items) {
    return items[items.length <= TURNS_MAX ? this.#place % items.length : Math.floor(this.#next() * items.length)];
  }
}

function word(next) {
  return WORDS[Math.floor(next() * WORDS.length)];
}

function date(next) {
  const part = (from, count) => String(from + Math.floor(next() * count)).padStart(2, "0");
  return `20${part(10, 12)}-${part(1, 12)}-${part(1, 28)}`;
}

function instant(next) {
  const part = (count) => String(Math.floor(next() * count)).padStart(2, "0");
  const zone = ["Z", "+02:00", "-05:00"][Math.floor(next() * 3)];
  return `${date(next)}T${part(24)}:${part(60)}:${part(60)}${next() < 0.5 ? "" : ".125"}${zone}`;
}

function dateTime(next) {
  const length = [4, 7, 10][Math.floor(next() * 3)];
  return next() < 0.6 ? instant(next) : date(next).slice(0, length);
}

function decimal(next) {
  return Math.round(next() * 4000) / 100;
}

function quantity(next) {
  const unit = ["mg", "mL", "h"][Math.floor(next() * 3)];
  const coded = next() < 0.7 ? { system: "http://unitsofmeasure.org", code: unit } : {};
  return { value: decimal(next), unit, ...coded };
}

function coding(next) {
  const code = word(next).toLowerCase().replace(/\W/g, "-");
  const display = next() < 0.3 ? { display: `The ${code}` } : {};
  return {
    ...(next() < 0.8 ? { system: `http://made.example/codes/${Math.floor(next() * 3)}` } : {}),
    code,
    ...display,
  };
}

function concept(next) {
  const codings = Array.from({ length: 1 + Math.floor(next() * 2) }, () => coding(next));
  return { coding: codings, ...(next() < 0.3 ? { text: `${word(next)} of the text` } : {}) };
}

function period(next) {
  const [start, end] = [dateTime(next), dateTime(next)].sort();
  return next() < 0.6 ? { start, end } : next() < 0.5 ? { start } : { end };
}

function range(next) {
  const low = quantity(next);
  const high = { ...low, value: Math.round((low.value + 5) * 100) / 100 };
  return next() < 0.6 ? { low, high } : next() < 0.5 ? { low } : { high };
}

function uri(next) {
  return `http://made.example/${word(next).replace(/\W/g, "-")}/${Math.floor(next() * 5)}`;
}

/** What stands in an element, by its type; other types are made of their elements. */
const MADE = {
  Age: quantity,
  CodeableConcept: concept,
  Coding: coding,
  ContactPoint: (next) => ({
    system: ["phone", "email"][Math.floor(next() * 2)],
    value: `555-${Math.floor(next() * 90) + 10}`,
  }),
  Count: quantity,
  Distance: quantity,
  Duration: quantity,
  Identifier: (next) => ({
    system: `http://made.example/ids/${Math.floor(next() * 3)}`,
    value: word(next),
    ...(next() < 0.4 ? { type: concept(next) } : {}),
  }),
  Money: (next) => ({ value: decimal(next), currency: ["EUR", "USD"][Math.floor(next() * 2)] }),
  Period: period,
  Quantity: quantity,
  Range: range,
  Resource: (next) => ({
    resourceType: ["Composition", "MessageHeader"][Math.floor(next() * 2)],
    id: `made-${Math.floor(next() * 4)}`,
  }),
  SimpleQuantity: quantity,
  base64Binary: () => "bWFkZQ==",
  boolean: (next) => next() < 0.5,
  canonical: (next) => `${uri(next)}${next() < 0.4 ? "|1.0" : ""}`,
  code: (next) => CODES[Math.floor(next() * CODES.length)],
  date: (next) => date(next),
  dateTime,
  decimal: (next) => Math.round(next() * 100) / 100,
  id: (next) => `id-${Math.floor(next() * 9)}`,
  instant,
  integer: (next) => Math.floor(next() * 20),
  oid: () => "urn:oid:1.2.3",
  positiveInt: (next) => 1 + Math.floor(next() * 20),
  time: () => "10:00:00",
  unsignedInt: (next) => Math.floor(next() * 20),
  uri,
  url: uri,
  uuid: () => `urn:uuid:${UUID}0`,
  xhtml: () => '<div xmlns="http://www.w3.org/1999/xhtml">made</div>',
};

const UUID = "6e0a0a3c-54f2-4f3c-9a3c-00000000000";

const CODES = ["active", "draft", "completed", "male", "phone"];

const RELATIONS = ["composed-of", "depends-on", "derived-from", "predecessor", "successor"];

const WORDS = ["Alder", "Birch", "Cedar grove", "Dogwood", "Elder", "Fir", "Grün", "Holly Ivy", "Juniper", "Kapok"];

/** Ids, which resources are given, and extensions, which are made where a search parameter looks at them. */
const LEFT_OUT = ["extension", "id", "modifierExtension"];

/** Elements of every resource that no search parameter looks at. */
const LEFT_OUT_OF_RESOURCES = ["contained", "implicitRules", "language", "text"];

/** More than there are resources of a type would not all get their turn. */
const TURNS_MAX = 12;

/** Below it no search parameter of R4 finds anything. */
const DEPTH_MAX = 5;

const STRUCTURE_DEFINITION = "http://hl7.org/fhir/StructureDefinition/";

/** Path, URL, property and value of the extensions that search parameters look at. */
const EXTENSIONS = [
  ...["CodeSystem", "ValueSet"].flatMap((type) => {
    const url = `${STRUCTURE_DEFINITION}${type.toLowerCase()}-`;
    return [
      [type, `${url}author`, "valueContactDetail", (next) => ({ name: word(next) })],
      [type, `${url}effectiveDate`, "valueDateTime", dateTime],
      [type, `${url}expirationDate`, "valueDateTime", dateTime],
      [type, `${url}keyWord`, "valueString", word],
      [type, `${url}workflowStatus`, "valueCode", word],
    ];
  }),
  [
    "Device",
    "http://hl7.org/fhir/SearchParameter/device-extensions-Device-din",
    "valueIdentifier",
    (next) => MADE.Identifier(next),
  ],
  [
    "DiagnosticReport",
    `${STRUCTURE_DEFINITION}DiagnosticReport-geneticsAssessedCondition`,
    "valueReference",
    () => ({ reference: "Condition/made-0" }),
  ],
  ["Observation", `${STRUCTURE_DEFINITION}observation-geneticsAminoAcidChangeName`, "valueString", word],
  ["Observation", `${STRUCTURE_DEFINITION}observation-geneticsDnaVariant`, "valueString", word],
  ["Observation", `${STRUCTURE_DEFINITION}observation-geneticsGene`, "valueCodeableConcept", concept],
  ["Patient", `${STRUCTURE_DEFINITION}patient-mothersMaidenName`, "valueString", word],
  ["QuestionnaireResponse.item", `${STRUCTURE_DEFINITION}questionnaireresponse-isSubject`, "valueBoolean", () => true],
];

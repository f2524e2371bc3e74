// One query: what it asks for, piece by piece, and how that is written.

/**
 * A criterion: `modifier` or none, and `alternatives`, of which the parts depend on the parameter's type:
 *
 * | type | parts |
 * |---|---|
 * | token | `system` (absent, empty, or one), `code` (absent or one); `value` too for `:of-type`; `text` for `:text` |
 * | string | `text` |
 * | reference | `reference`, and `version` of a canonical; or as a token for `:identifier` |
 * | uri | `uri` |
 * | date, number | `prefix`, `date` or `number` |
 * | quantity | `prefix`, `number`, and `system` (absent, empty, or one) and `code` |
 * | composite | `parts`: an alternative for each component |
 */
export function write({ resourceType, code, modifier, alternatives, missing }) {
  const name = modifier === undefined ? code : `${code}:${modifier}`;
  const value = modifier === "missing" ? String(missing) : alternatives.map(writeAlternative).join(",");
  return `${resourceType}?${encodeURIComponent(name)}=${encodeURIComponent(value)}`;
}

function writeAlternative(alternative) {
  const { parts, prefix = "", number, date, text, reference, uri, version, system, code, value } = alternative;
  if (parts !== undefined) return parts.map(writeAlternative).join("$");
  if (date !== undefined) return `${prefix}${date}`;
  if (number !== undefined) {
    const unit = system === undefined && code === undefined ? [] : [system ?? "", code ?? ""];
    return [`${prefix}${number}`, ...unit.map(escaped)].join("|");
  }
  const plain = text ?? reference ?? uri;
  const pieces = plain === undefined ? [system, system === undefined ? code : (code ?? ""), value] : [plain, version];
  return pieces
    .filter((piece) => piece !== undefined)
    .map(escaped)
    .join("|");
}

function escaped(text) {
  return text.replace(/[\\,|$]/g, "\\$&");
}

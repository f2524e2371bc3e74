// Dates as intervals of milliseconds, to tell what a disagreement is about.

/** What is found, as far as it is a date or a Period. */
export function timesOf(found) {
  return found.flatMap(({ value, type }) => {
    if (type === "Period") return [period(value)];
    return ["date", "dateTime", "instant"].includes(type) ? [interval(value)] : [];
  });
}

/** What is searched. */
export function timesSearched(alternatives) {
  return alternatives.map(({ date }) => interval(date));
}

export function overlap(one, other) {
  return one.start < other.end && other.start < one.end;
}

export function contains(outer, inner) {
  return outer.start <= inner.start && inner.end <= outer.end;
}

function period({ start, end }) {
  return { start: start ? interval(start).start : -Infinity, end: end ? interval(end).end : Infinity };
}

/** As wide as the text is imprecise. */
function interval(text) {
  const [date, time] = text.split("T");
  const [, clock, fraction = "", zone] = /^([\d:]+)(\.\d+)?(.*)$/.exec(time ?? "") ?? [];
  const start = Date.parse(time === undefined ? date : `${date}T${clock}${fraction}${zone || "Z"}`);
  const end = new Date(start);
  if (date.length === 4) end.setUTCFullYear(end.getUTCFullYear() + 1);
  else if (date.length === 7) end.setUTCMonth(end.getUTCMonth() + 1);
  else end.setTime(start + (time === undefined ? DAY : clock.length === 5 ? 60_000 : fraction === "" ? 1000 : 1));
  return { start, end: end.getTime() };
}

const DAY = 86_400_000;

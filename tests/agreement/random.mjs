// Chance that is the same in every run, and what is drawn by it.

/** A generator of numbers in [0, 1), by mulberry32. */
export function random(seed) {
  let state = hash(seed);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** At most `count` of the items, in their order. */
export function sample(items, count, next) {
  const places = items.map((_, place) => place);
  for (let place = 0; place < Math.min(count, places.length); place += 1) {
    const other = place + Math.floor(next() * (places.length - place));
    [places[place], places[other]] = [places[other], places[place]];
  }
  return places
    .slice(0, count)
    .sort((a, b) => a - b)
    .map((place) => items[place]);
}

/** One of the items. */
export function pick(items, next) {
  return items[Math.floor(next() * items.length)];
}

/** The items by key, keys and items in their order. */
export function groups(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(item);
  }
  return groups;
}

function hash(text) {
  let value = 0x811c9dc5;
  for (const character of text) value = Math.imul(value ^ character.codePointAt(0), 0x01000193);
  return value | 0;
}

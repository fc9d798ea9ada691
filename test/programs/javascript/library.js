// Functions that are called by their names.
export function words(text) {
  const counts = new Map();
  for (const [word] of text.toLowerCase().matchAll(/[a-zà-ÿ]+/gu))
    counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts]
    .map(([text, count]) => ({ text, count }))
    .sort((a, b) => b.count - a.count || (a.text < b.text ? -1 : 1));
}

export function evaluate(json) {
  try {
    return JSON.stringify(JSON.parse(json), Object.keys(JSON.parse(json)).sort());
  } catch (error) {
    throw error.name;
  }
}

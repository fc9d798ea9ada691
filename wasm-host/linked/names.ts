/** `get-random-bytes` → `getRandomBytes`, as jco's glue names functions, fields and flags. */
export function toCamelCase(name: string): string {
  const [first = "", ...rest] = name.split("-");
  return lowerFirst(first) + rest.map(capitalize).join("");
}

/** `incoming-request` → `IncomingRequest`. */
export function toPascalCase(name: string): string {
  return name.split("-").map(capitalize).join("");
}

/** A word that is all capitals is an acronym: `DNS-error` is `dnsError`. */
function lowerFirst(word: string): string {
  return word === word.toUpperCase() ? word.toLowerCase() : word;
}

function capitalize(word: string): string {
  const lower = word === word.toUpperCase() ? word.toLowerCase() : word;
  return lower.charAt(0).toUpperCase() + lower.slice(1);
}

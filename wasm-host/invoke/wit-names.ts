/** jco's name for a label of WIT: `http-request` ↦ `httpRequest`. */
export function camelCase(label: string): string {
  const [first = "", ...rest] = label.split("-").map((word) => word.toLowerCase());
  return first + rest.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join("");
}

/**
 * The script without the statements that call this function, where a line begins with the call: each becomes an empty statement. For
 * calls that say something to nobody: jco's glue makes up an object for its debug log some ten times in each call of the host.
 */
export function stripCalls(script: string, name: string): string {
  const kept: string[] = [];
  let from = 0;
  for (const { index } of script.matchAll(new RegExp(`^${name}\\(`, "gm"))) {
    if (index < from) continue; // in a string of the call before
    const end = endOfBrackets(script, index + name.length);
    if (end === undefined) break;
    kept.push(script.slice(from, index));
    from = end;
  }
  kept.push(script.slice(from));
  return kept.join("");
}

const closing: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

/** The index behind the bracket that closes the one at `start`; undefined when there is none. Knows strings, not comments or regular expressions. */
function endOfBrackets(script: string, start: number): number | undefined {
  const open: string[] = [];
  for (let at = start; at < script.length; at++) {
    const char = script.charAt(at);
    const inTemplate = open.at(-1) === "`";
    if (char === "\\" && inTemplate) at++;
    else if (inTemplate && script.startsWith("${", at)) {
      open.push("}");
      at++;
    } else if (inTemplate ? char === "`" : char === open.at(-1)) open.pop();
    else if (inTemplate) continue;
    else if (char === "`") open.push("`");
    else if (char === "'" || char === '"') at = endOfString(script, at);
    else if (closing[char] !== undefined) open.push(closing[char]);
    if (open.length === 0) return at + 1;
  }
  return undefined;
}

/** The index of the quote that ends the string which begins at `start`. */
function endOfString(script: string, start: number): number {
  const quote = script.charAt(start);
  let at = start + 1;
  while (at < script.length && script.charAt(at) !== quote) at += script.charAt(at) === "\\" ? 2 : 1;
  return at;
}

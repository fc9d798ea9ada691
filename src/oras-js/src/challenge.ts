/** A parsed `WWW-Authenticate` challenge. */
export interface Challenge {
  /** lower-case: `bearer`, `basic` */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";

/**
 * Parses one `WWW-Authenticate` header, which may hold several challenges (RFC 9110 §11.6.1). What cannot be parsed ends the list:
 * the header comes from outside and a half-read challenge must not be answered.
 */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const scheme = new RegExp(`[\\s,]*(${token})(?:\\s+|$)(?!\\s*=)`, "y");
  const parameter = new RegExp(`[\\s,]*(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))`, "y");
  let position = 0;
  while (position < header.length) {
    parameter.lastIndex = position;
    const current = challenges.at(-1);
    const pair = current === undefined ? null : parameter.exec(header);
    if (pair !== null && current !== undefined) {
      current.parameters[(pair[1] ?? "").toLowerCase()] = pair[2]?.replace(/\\(.)/g, "$1") ?? pair[3] ?? "";
      position = parameter.lastIndex;
      continue;
    }
    scheme.lastIndex = position;
    const next = scheme.exec(header);
    if (next === null) break;
    challenges.push({ scheme: (next[1] ?? "").toLowerCase(), parameters: Object.create(null) });
    position = scheme.lastIndex;
  }
  return challenges;
}

const LONGEST = 300;

/** Text of the guest's for a log: nothing in it may move a terminal's cursor, or fill the log. */
export function printable(text: string): string {
  const clean = text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "\ufffd");
  return clean.length <= LONGEST ? clean : `${clean.slice(0, LONGEST)}…`;
}

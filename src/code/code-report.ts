/**
 * What a guest's process says of its code when it is ready. "now": a module of it could have code and has none; "afterwards": the
 * same, once it is known which functions it calls.
 */
export interface CodeReport {
  readonly wanted: "no" | "now" | "afterwards";
  /** Why code that was there was not taken. */
  readonly damaged?: string;
}

export function isCodeReport(value: unknown): value is CodeReport {
  if (typeof value !== "object" || value === null) return false;
  const { wanted, damaged } = value as Partial<Record<keyof CodeReport, unknown>>;
  return (
    (wanted === "no" || wanted === "now" || wanted === "afterwards") &&
    (damaged === undefined || typeof damaged === "string")
  );
}

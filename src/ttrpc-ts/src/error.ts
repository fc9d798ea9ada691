/** The closed set of ttrpc error codes (those of gRPC) and their numbers on the wire. */
export const codeNumbers = {
  canceled: 1,
  unknown: 2,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  already_exists: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  aborted: 10,
  out_of_range: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  data_loss: 15,
  unauthenticated: 16,
} as const;

export type TtrpcCode = keyof typeof codeNumbers;

const codeNames = new Map<number, TtrpcCode>();
for (const name of Object.keys(codeNumbers) as TtrpcCode[]) codeNames.set(codeNumbers[name], name);

/** The name of a status number; a number outside the closed set is `unknown`. Zero is not an error and never asked for. */
export function codeFromNumber(number: number): TtrpcCode {
  return codeNames.get(number) ?? "unknown";
}

/**
 * The one error class of the package: what a handler throws to answer with a status, and what a call rejects with.
 *
 * @example throw new TtrpcError("not_found", `container ${id}: not found`)
 */
export class TtrpcError extends Error {
  override readonly name = "TtrpcError";
  readonly code: TtrpcCode;

  constructor(code: TtrpcCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Converts anything thrown: a TtrpcError stays itself, everything else becomes `unknown` with its message. */
  static from(thrown: unknown): TtrpcError {
    if (thrown instanceof TtrpcError) return thrown;
    if (thrown instanceof Error) return new TtrpcError("unknown", thrown.message, { cause: thrown });
    return new TtrpcError("unknown", String(thrown));
  }
}

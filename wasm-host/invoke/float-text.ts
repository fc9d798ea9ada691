/**
 * Floats as text and back, as Rust and with it wasmtime do it: the fewest digits that are this number and no other of its width,
 * never with an exponent, `-0`, `NaN`, `inf`.
 */
export function printFloat(value: number, width: 32 | 64): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0";
  return withoutExponent(width === 64 ? String(value) : shortestSingle(value));
}

const pattern = /^([+-]?)(?:(\d+\.?\d*|\.\d+)(?:e([+-]?\d+))?|(inf(?:inity)?)|nan)$/i;

/** The number that is nearest to what the text says; undefined for what is no float. */
export function readFloat(text: string, width: 32 | 64): number | undefined {
  const [match, sign, digits, , infinity] = pattern.exec(text) ?? [];
  if (match === undefined) return undefined;
  const factor = sign === "-" ? -1 : 1;
  if (infinity !== undefined) return factor * Number.POSITIVE_INFINITY;
  if (digits === undefined) return Number.NaN;
  const value = Number(text);
  return width === 64 ? value : nearestSingle(value, text);
}

/** Rounding to 64 and then to 32 bits errs where the first ends half-way between two singles: then the text itself decides. */
function nearestSingle(value: number, text: string): number {
  const rounded = Math.fround(value);
  if (rounded === value || !Number.isFinite(value)) return rounded;
  const other = neighbour(rounded, value > rounded);
  const half =
    Number.isFinite(other) && Number.isFinite(rounded) ? (rounded + other) / 2 : largestHalf(value);
  if (half !== value) return rounded;
  const order = compare(text, value);
  if (order === 0) return rounded;
  return order > 0 ? Math.max(rounded, other) : Math.min(rounded, other);
}

/** Half-way between the largest single and where the next would be: from there on it is infinity. */
function largestHalf(value: number): number {
  return Math.sign(value) * (2 ** 128 - 2 ** 103);
}

const single = new Float32Array(1);
const bits = new Int32Array(single.buffer);

/** The next single, upwards or downwards. */
function neighbour(value: number, upwards: boolean): number {
  single[0] = value;
  if (value === 0) bits[0] = upwards ? 1 : -0x7fff_ffff;
  else bits[0] = (bits[0] ?? 0) + (value > 0 === upwards ? 1 : -1);
  return single[0] ?? Number.NaN;
}

/** Whether the decimal number is larger (1) than the float, smaller (-1) or the same. */
function compare(text: string, value: number): number {
  const [mantissa, exponent] = toDecimal(text);
  // The float is an integer times a power of two, so that times 2^1074 it is an integer.
  const [scaled, shift] = toInteger(value);
  const left = exponent < 0n ? mantissa << shift : (mantissa * 10n ** exponent) << shift;
  const right = exponent < 0n ? scaled * 10n ** -exponent : scaled;
  return left > right ? 1 : left < right ? -1 : 0;
}

/** [m, e] of m × 10^e. */
function toDecimal(text: string): [mantissa: bigint, exponent: bigint] {
  const [number = "", exponent = "0"] = text.toLowerCase().replace("+", "").split("e");
  const [whole = "", fraction = ""] = number.replace("-", "").split(".");
  const mantissa = BigInt(whole + fraction);
  return [number.startsWith("-") ? -mantissa : mantissa, BigInt(exponent) - BigInt(fraction.length)];
}

/** [n, s] of n / 2^s. */
function toInteger(value: number): [integer: bigint, shift: bigint] {
  let shift = 0n;
  let scaled = value;
  for (; !Number.isInteger(scaled); shift++) scaled *= 2;
  return [BigInt(scaled), shift];
}

/** The fewest digits that a single of this value is read from; of several such numbers the nearest. */
function shortestSingle(value: number): string {
  for (let digits = 0; digits < 9; digits++) {
    const [mantissa = "", exponent = ""] = value.toExponential(digits).replace(".", "").split("e");
    const nearby = [0, 1, -1].map((step) => `${Number(mantissa) + step}e${Number(exponent) - digits}`);
    const same = nearby.find((text) => Math.fround(Number(text)) === value);
    if (same !== undefined) return String(Number(same));
  }
  return String(value);
}

function withoutExponent(text: string): string {
  const [number = "", exponent] = text.split("e");
  if (exponent === undefined) return number;
  const sign = number.startsWith("-") ? "-" : "";
  const [whole = "", fraction = ""] = number.replace("-", "").split(".");
  const point = whole.length + Number(exponent);
  const digits = whole + fraction;
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  return `${sign}${digits.padEnd(point, "0")}`;
}

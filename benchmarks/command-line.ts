import { InvalidArgumentError } from "commander";

/** @throws InvalidArgumentError, which commander tells its user */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError("not a number of 1 or more");
  return count;
}

/** Separated by commas. */
export function parseNames(text: string): string[] {
  return text.split(",").filter(Boolean);
}

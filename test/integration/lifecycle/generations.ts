import { availableGenerations, type Generation } from "../../../scripts/private-containerd/containerd.ts";

/** Every containerd on this machine; while working on one test, TEST_GENERATIONS=2.1 leaves the others out. */
export function chosenGenerations(): readonly Generation[] {
  const chosen = process.env["TEST_GENERATIONS"]?.split(",");
  return availableGenerations().filter((generation) => chosen?.includes(generation) ?? true);
}

/** The one on which everything is tried; the others get what differs between generations. */
export const thorough: Generation = "2.1";

/** How many times as long as usual everything may take: TEST_PATIENCE, for machines that are emulated (scripts/vm/inside). */
export const patience = Number(process.env["TEST_PATIENCE"] ?? 1);

/** Ours, as `-v`, `Connect` and `-info` tell it. */
export const VERSION = "0.1.0";

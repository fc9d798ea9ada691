/**
 * How much of a module is optimised, and when. Measured with TurboFan of V8 14.6 on one core of 2.6 GHz: a byte of the code section
 * takes 1.1 to 2 µs to optimise and becomes 4 to 6 bytes of code; to hash and load those takes 5 ms per megabyte, half of it faults.
 */

/**
 * A module whose code section is no larger is optimised in whole, at its first use: half a second of work, 3 MB, 15 ms at each
 * start at most. Of a larger one only those functions are that its first run has called, because the others would only be loaded:
 * CPython (6 MB, 11,448 functions) starts `print(1)` in 180 ms without code, 180 ms with all of it and 115 ms with the 2,400 that
 * are called.
 */
export const WHOLE_MODULE_BYTES = 512 * 1024;

/**
 * Of a module without code, functions that are called once and may loop for long are optimised before they run, because V8 does
 * not exchange the code of a function that is running (native/wasm/scan.h). So many bytes of them: 5 to 10 ms of the first start.
 */
export const FIRST_RUN_BYTES = 8 * 1024;

/** To look for such functions takes 2.5 ms per megabyte; in a larger module hardly one of them would be found. */
export const FIRST_RUN_MODULE_BYTES = 1024 * 1024;

/** A larger module is never optimised ahead: its bytes have to be hashed at each start. */
export const MAX_MODULE_BYTES = 64 * 1024 * 1024;

/** Code of one module. */
export const MAX_CODE_BYTES = 64 * 1024 * 1024;

/** Code of all modules. */
export const MAX_STORE_BYTES = 1024 * 1024 * 1024;

/* Lua includes it; nothing of it is used (wasi.h). */

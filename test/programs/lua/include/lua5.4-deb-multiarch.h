/* What Debian's build writes, for Debian's patch of luaconf.h. */
#define DEB_HOST_MULTIARCH "wasm32-wasi"

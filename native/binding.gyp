{
  "target_defaults": {
    "cflags": ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-O2", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"],
    "cflags_cc": ["-std=c++20"],
    "cflags_cc!": ["-fno-rtti"],
    "include_dirs": ["."]
  },
  "targets": [
    {
      # The addon: the whole native surface of src/native-surface.ts. addon.cc has exports only; one .cc per group.
      "target_name": "tandem",
      "sources": [
        "addon/addon.cc",
        "addon/process.cc",
        "addon/poll.cc",
        "addon/unix_socket.cc",
        "addon/mount.cc",
        "addon/isolate.cc",
        "addon/spawn.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=9", "NODE_ADDON_API_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"],
      "cflags_cc!": ["-fno-exceptions"],
      "cflags_cc": ["-fexceptions"]
    },
    {
      # Runs between clone3 and execve of every Linux container. Static, so that it depends on nothing of any root file system.
      "target_name": "container-init",
      "type": "executable",
      "sources": [
        "init/main.cc",
        "init/report.cc",
        "init/paths.cc",
        "init/namespaces.cc",
        "init/mounts.cc",
        "init/devices.cc",
        "init/hooks.cc",
        "init/process.cc",
        "init/privileges.cc"
      ],
      "cflags_cc": ["-fno-exceptions", "-fno-rtti", "-fno-asynchronous-unwind-tables", "-fno-threadsafe-statics", "-fno-pie", "-Wno-missing-field-initializers"],
      "ldflags": ["-static", "-no-pie", "-Wl,--gc-sections", "-s"],
      "ldflags!": ["-rdynamic"]
    },
    {
      # Loaded into the zygote by LD_PRELOAD: keeps V8's pages across fork.
      "target_name": "tandem-dofork",
      "type": "shared_library",
      "sources": ["zygote/dofork.c"]
    }
  ]
}

{
  "target_defaults": {
    "cflags": ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-O2", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"],
    "cflags_cc": ["-std=c++20"],
    "cflags_cc!": ["-fno-rtti"],
    "include_dirs": ["."]
  },
  "targets": [
    {
      # The addon: the whole native surface of src/native-surface.ts and src/native-wasi.ts. addon.cc has exports only; one .cc per group.
      "target_name": "tandem",
      "sources": [
        "addon/addon.cc",
        "addon/process.cc",
        "addon/deadline.cc",
        "addon/descriptors.cc",
        "addon/pages.cc",
        "addon/poll.cc",
        "addon/readiness.cc",
        "addon/socket.cc",
        "addon/unix_socket.cc",
        "addon/in_root.cc",
        "addon/file.cc",
        "addon/mount.cc",
        "addon/isolate.cc",
        "addon/kernel_mounts.cc",
        "addon/cgroup.cc",
        "addon/bpf_devices.cc",
        "addon/seccomp.cc",
        "addon/net_device.cc",
        "addon/spawn.cc",
        "sys/spawn_init.cc",
        "addon/user_namespace.cc",
        "addon/socket_set.cc",
        "addon/memory_image.cc",
        "addon/guest_call.cc",
        "addon/wasi.cc",
        "addon/wasi_errno.cc",
        "addon/wasi_file.cc",
        "addon/wasi_io.cc",
        "addon/wasi_path.cc",
        "addon/wasi_poll.cc",
        "addon/wasm_scan.cc",
        "wasm/body.cc",
        "wasm/scan.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      # Static: the installed addon needs no library that a node might lack.
      "libraries": ["-l:libseccomp.a"],
      "defines": ["NAPI_VERSION=9", "NODE_ADDON_API_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"],
      "cflags_cc!": ["-fno-exceptions"],
      "cflags_cc": ["-fexceptions"]
    },
    {
      # Optimised code of WebAssembly modules, by V8's own C++ interface: for the Node only that it was built with.
      "target_name": "tandem-code",
      "sources": ["code/code.cc"]
    },
    {
      # What containerd executes: static C, about a millisecond. No PIE: its relocations are page faults.
      "target_name": "containerd-shim-tandem-v1",
      "type": "executable",
      "sources": [
        "launcher/main.c",
        "launcher/message.c",
        "launcher/args.c",
        "launcher/annotations.c",
        "launcher/cgroup.c",
        "launcher/clear.c",
        "launcher/delete.c",
        "launcher/hooks.c",
        "launcher/household.c",
        "launcher/info.c",
        "launcher/monitor.c",
        "launcher/mounts.c",
        "launcher/places.c",
        "launcher/sha256.c",
        "launcher/spawn.c",
        "launcher/start.c",
        "launcher/state.c",
        "launcher/text.c",
        "launcher/time.c",
        "launcher/zygote.c"
      ],
      "include_dirs": ["launcher"],
      "defines": ["_GNU_SOURCE", "TANDEM_VERSION=\"<!(node -p \"require('../package.json').version\")\""],
      "cflags": ["-std=gnu17", "-fno-pie", "-ffunction-sections", "-fdata-sections"],
      "cflags!": ["-fPIC"],
      "ldflags": ["-static", "-no-pie", "-Wl,--gc-sections", "-Wl,-z,noseparate-code"],
      "ldflags!": ["-rdynamic"]
    },
    {
      # Runs between clone3 and execve of every Linux container. Static, so that it depends on nothing of any root file system.
      "target_name": "container-init",
      "type": "executable",
      "sources": [
        "init/main.cc",
        "init/report.cc",
        "init/join.cc",
        "init/paths.cc",
        "init/proc.cc",
        "init/namespaces.cc",
        "init/mounts.cc",
        "init/root.cc",
        "init/copy_up.cc",
        "init/devices.cc",
        "init/home.cc",
        "init/hooks.cc",
        "init/process.cc",
        "init/privileges.cc"
      ],
      "cflags_cc": ["-fno-exceptions", "-fno-rtti", "-fno-asynchronous-unwind-tables", "-fno-threadsafe-statics", "-fno-pie", "-Wno-missing-field-initializers"],
      "ldflags": ["-static", "-no-pie", "-Wl,--gc-sections", "-s"],
      "ldflags!": ["-rdynamic"]
    },
    {
      # The command line's hands: what podman, Buildah and Docker execute. Asks the OCI server, clones container-init as its own child.
      "target_name": "tandem-oci",
      "type": "executable",
      "sources": [
        "client/main.c",
        "client/ask.c",
        "client/hands.c",
        "client/output.c",
        "client/program.c",
        "client/relay.c",
        "client/renew.c",
        "client/server.c",
        "client/settle.c",
        "client/silence.c",
        "launcher/cgroup.c",
        "launcher/clear.c",
        "launcher/household.c",
        "launcher/message.c",
        "launcher/monitor.c",
        "launcher/mounts.c",
        "launcher/places.c",
        "launcher/sha256.c",
        "launcher/spawn.c",
        "launcher/state.c",
        "launcher/text.c",
        "launcher/time.c",
        "launcher/zygote.c",
        "sys/spawn_init.cc"
      ],
      "include_dirs": ["launcher"],
      "defines": ["_GNU_SOURCE", "TANDEM_VERSION=\"<!(node -p \"require('../package.json').version\")\""],
      "cflags": ["-fno-pie", "-ffunction-sections", "-fdata-sections"],
      "cflags!": ["-fPIC"],
      "cflags_c": ["-std=gnu17"],
      "cflags_cc": ["-fno-exceptions", "-fno-rtti", "-fno-asynchronous-unwind-tables", "-fno-threadsafe-statics"],
      "ldflags": ["-static", "-no-pie", "-Wl,--gc-sections", "-Wl,-z,noseparate-code"],
      "ldflags!": ["-rdynamic"]
    },
    {
      # The node's command. Its run and serve ask the OCI server, too; for the rest it executes Node.
      "target_name": "tandem-command",
      "product_name": "tandem",
      "type": "executable",
      "sources": [
        "client/tandem.c",
        "client/ask.c",
        "client/guest.c",
        "client/output.c",
        "client/renew.c",
        "client/server.c",
        "client/settle.c",
        "client/silence.c",
        "launcher/cgroup.c",
        "launcher/clear.c",
        "launcher/household.c",
        "launcher/message.c",
        "launcher/monitor.c",
        "launcher/mounts.c",
        "launcher/places.c",
        "launcher/sha256.c",
        "launcher/spawn.c",
        "launcher/state.c",
        "launcher/text.c",
        "launcher/time.c",
        "launcher/zygote.c"
      ],
      "include_dirs": ["launcher"],
      "defines": ["_GNU_SOURCE", "TANDEM_VERSION=\"<!(node -p \"require('../package.json').version\")\""],
      "cflags": ["-fno-pie", "-ffunction-sections", "-fdata-sections"],
      "cflags!": ["-fPIC"],
      "cflags_c": ["-std=gnu17"],
      "ldflags": ["-static", "-no-pie", "-Wl,--gc-sections", "-Wl,-z,noseparate-code"],
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

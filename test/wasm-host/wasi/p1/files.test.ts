import { execFileSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fileRights, Guest, Sandbox } from "./guest.ts";

const errno = {
  BADF: 8,
  FAULT: 21,
  EXIST: 20,
  ILSEQ: 25,
  INVAL: 28,
  ISDIR: 31,
  NAMETOOLONG: 37,
  NOENT: 44,
  NOTDIR: 54,
  NOTEMPTY: 55,
  SPIPE: 70,
  NOTCAPABLE: 76,
};
const CREATE = 1;
const DIRECTORY = 2;
const TRUNCATE = 8;
const test = suite("wasi p1 files");

interface Entry {
  readonly name: string;
  readonly next: bigint;
}

/** One fd_readdir: its whole entries, and whether the buffer was filled. */
function readDirectory(
  guest: Guest,
  fd: number,
  cookie: bigint,
  size = 4096,
): { entries: Entry[]; full: boolean } {
  const buffer = guest.alloc(size);
  const result = guest.alloc(4);
  assert.is(guest.call("fd_readdir", fd, buffer, size, cookie, result), 0);
  const used = guest.view.getUint32(result, true);
  const entries: Entry[] = [];
  for (let at = buffer; at + 24 <= buffer + used; ) {
    const length = guest.view.getUint32(at + 16, true);
    if (at + 24 + length > buffer + used) break;
    entries.push({ name: guest.string(at + 24, length), next: guest.view.getBigUint64(at, true) });
    at += 24 + length;
  }
  return { entries, full: used === size };
}

function tell(guest: Guest, fd: number): bigint {
  const result = guest.alloc(8);
  assert.is(guest.call("fd_tell", fd, result), 0);
  return guest.view.getBigUint64(result, true);
}

test("what is written is read back, at its position", () => {
  using sandbox = new Sandbox();
  const guest = sandbox.guest();
  const [, fd] = guest.open("file", { oflags: CREATE });
  assert.equal(guest.write(fd, "hello world"), [0, 11]);
  assert.is(tell(guest, fd), 11n);
  const position = guest.alloc(8);
  assert.is(guest.call("fd_seek", fd, -5n, 2, position), 0);
  assert.equal(guest.read(fd), [0, "world"]);
  assert.is(guest.call("fd_seek", fd, -1n, 0, position), errno.INVAL);
  assert.is(guest.call("fd_seek", fd, 0n, 9, position), errno.INVAL);
});

test("wasi_unstable counts whence and lays out filestat in its own way", () => {
  using sandbox = new Sandbox();
  writeFileSync(join(sandbox.path, "file"), "12345");
  const stable = sandbox.guest();
  const fd = openSync(sandbox.path, 0);
  try {
    const guest = new Guest({
      grant: { preopens: [{ fd, guestPath: "/", readonly: false }] },
      unstable: true,
    });
    const [, file] = guest.open("file");
    const result = guest.alloc(64);
    assert.is(guest.call("fd_seek", file, -2n, 1, result), 0);
    assert.is(guest.view.getBigUint64(result, true), 3n);
    assert.is(guest.call("fd_filestat_get", file, result), 0);
    assert.is(guest.view.getUint32(result + 20, true), 1);
    assert.is(guest.view.getBigUint64(result + 24, true), 5n);
  } finally {
    closeSync(fd);
  }
  const result = stable.alloc(64);
  assert.is(stable.call("path_filestat_get", 3, 0, ...stable.text("file"), result), 0);
  assert.is(stable.view.getBigUint64(result + 24, true), 1n);
  assert.is(stable.view.getBigUint64(result + 32, true), 5n);
});

test("attributes: size, allocation, times, advice, sync", () => {
  using sandbox = new Sandbox();
  const guest = sandbox.guest();
  const path = join(sandbox.path, "file");
  const [, fd] = guest.open("file", { oflags: CREATE });
  assert.is(guest.call("fd_filestat_set_size", fd, 10n), 0);
  assert.is(statSync(path).size, 10);
  assert.is(guest.call("fd_allocate", fd, 5n, 20n), 0);
  assert.is(statSync(path).size, 25);
  assert.is(guest.call("fd_filestat_set_times", fd, 1_000_000_000n, 2_000_000_000n, 5), 0);
  assert.is(statSync(path).mtimeMs, 2000);
  assert.is(guest.call("fd_filestat_set_times", fd, 0n, 0n, 3), errno.INVAL);
  assert.is(guest.call("fd_advise", fd, 0n, 10n, 1), 0);
  assert.is(guest.call("fd_advise", fd, 0n, 10n, 6), errno.INVAL);
  assert.is(guest.call("fd_sync", fd), 0);
  assert.is(guest.call("fd_datasync", fd), 0);
  assert.is(guest.call("fd_sync", 3), 0, "an O_PATH preopen can be synced");
});

test("a directory is listed piecemeal, each entry once, whatever is removed meanwhile", () => {
  using sandbox = new Sandbox();
  const guest = sandbox.guest();
  const names = Array.from({ length: 200 }, (_, index) => `entry-${String(index).padStart(4, "0")}`);
  for (const name of names) writeFileSync(join(sandbox.path, name), "");
  const seen: string[] = [];
  let cookie = 0n;
  for (;;) {
    const { entries, full } = readDirectory(guest, 3, cookie, 333);
    for (const { name } of entries) if (name.startsWith("entry")) seen.push(name);
    cookie = entries.at(-1)?.next ?? cookie;
    // What has been seen is removed, as `rm -r` does it.
    for (const { name } of entries)
      rmSync(join(sandbox.path, name === "." || name === ".." ? "none" : name), { force: true });
    if (!full) break;
  }
  assert.is(new Set(seen).size, seen.length, "no entry came twice");
  assert.equal(seen.toSorted(), names);
});

test("a cookie of long ago still means the same place", () => {
  using sandbox = new Sandbox();
  const guest = sandbox.guest();
  for (let index = 0; index < 20; index++) writeFileSync(join(sandbox.path, `f${index}`), "");
  const { entries } = readDirectory(guest, 3, 0n);
  const kept = entries[10];
  const rest = entries.slice(11).map(({ name }) => name);
  const first = entries[0]?.name;
  if (first?.startsWith("f")) rmSync(join(sandbox.path, first));
  const again = readDirectory(guest, 3, kept?.next ?? 0n).entries.map(({ name }) => name);
  assert.equal(again, rest);
  assert.equal(readDirectory(guest, 3, 2n ** 63n).entries, []);
});

test("rights can be given up, not taken, and are checked", () => {
  using sandbox = new Sandbox();
  const guest = sandbox.guest();
  const [, fd] = guest.open("file", { oflags: CREATE });
  assert.is(guest.call("fd_fdstat_set_rights", fd, fileRights.read, 0n), 0);
  assert.is(guest.write(fd, "x")[0], errno.NOTCAPABLE);
  assert.is(guest.call("fd_fdstat_set_rights", fd, fileRights.read | fileRights.write, 0n), errno.NOTCAPABLE);
  assert.is(guest.read(99)[0], errno.BADF);
  const [, narrow] = guest.open(".", { oflags: DIRECTORY, base: 1n << 13n, inheriting: fileRights.read });
  assert.is(guest.open("file", { directory: narrow, base: fileRights.write })[0], errno.NOTCAPABLE);
  assert.is(guest.open("file", { directory: narrow, base: fileRights.read, inheriting: 0n })[0], 0);
});

test("who names no rights has those that go with reading, writing or neither", () => {
  using sandbox = new Sandbox();
  const guest = sandbox.guest();
  const none = { base: 0n, inheriting: 0n };
  const [, directory] = guest.open(".", { oflags: DIRECTORY, ...none });
  assert.is(guest.call("path_create_directory", directory, ...guest.text("made")), 0);
  const options = { directory, inheriting: 0n };
  const [, written] = guest.open("file", { ...options, oflags: CREATE, base: fileRights.write });
  assert.is(guest.write(written, "text")[0], 0);
  assert.is(guest.call("fd_seek", written, 0n, 0, guest.alloc(8)), 0);
  assert.is(guest.call("fd_filestat_set_size", written, 2n), 0);
  assert.is(guest.read(written)[0], errno.BADF);
  const [, read] = guest.open("file", { ...options, base: 2n });
  assert.equal(guest.read(read), [0, "te"]);
  assert.is(guest.write(read, "")[0], errno.BADF);
  assert.is(guest.call("fd_filestat_set_size", read, 0n), errno.INVAL);
  const [, neither] = guest.open("file", { ...options, base: 0n });
  assert.is(guest.call("fd_filestat_get", neither, guest.alloc(64)), 0);
  assert.is(guest.read(neither)[0], errno.NOTCAPABLE);
  // What the directory gave up is not got back by naming nothing.
  const pathOpen = 1n << 13n;
  assert.is(guest.call("fd_fdstat_set_rights", directory, pathOpen, 2n), 0);
  const [, narrow] = guest.open("file", { ...options, base: 2n });
  assert.is(guest.call("fd_filestat_get", narrow, guest.alloc(64)), errno.NOTCAPABLE);
});

test("what a file is not, or was not opened for, fails as with the kernel", () => {
  using sandbox = new Sandbox();
  const guest = sandbox.guest();
  const result = guest.alloc(8);
  assert.is(guest.read(3)[0], errno.BADF);
  assert.is(guest.write(3, "x")[0], errno.BADF);
  assert.is(guest.call("fd_seek", 3, 0n, 0, result), errno.BADF);
  assert.is(guest.call("fd_tell", 3, result), errno.BADF);
  assert.is(guest.call("fd_advise", 3, 0n, 0n, 4), errno.BADF);
  assert.is(guest.call("fd_allocate", 3, 0n, 1n), errno.BADF);
  assert.is(guest.call("fd_filestat_set_size", 3, 0n), errno.BADF);
  execFileSync("mkfifo", [join(sandbox.path, "pipe")]);
  const stdin = openSync(join(sandbox.path, "pipe"), "r+");
  try {
    const piped = sandbox.guest(".", { stdio: { stdin, stdout: -1, stderr: -1 } });
    for (const whence of [0, 1, 2]) assert.is(piped.call("fd_seek", 0, 0n, whence, result), errno.SPIPE);
    assert.is(piped.call("fd_advise", 0, 0n, 0n, 4), errno.SPIPE);
    assert.is(piped.call("fd_seek", 1, 0n, 1, result), errno.BADF);
  } finally {
    closeSync(stdin);
  }
});

test("truncating takes no right that a directory was opened with, only one that was not given up", () => {
  using sandbox = new Sandbox();
  const guest = sandbox.guest();
  const pathOpen = 1n << 13n;
  const setSize = 1n << 19n;
  writeFileSync(join(sandbox.path, "file"), "text");
  const [, narrow] = guest.open(".", {
    oflags: DIRECTORY,
    base: pathOpen,
    inheriting: fileRights.read | fileRights.write,
  });
  const truncating = { oflags: TRUNCATE, base: fileRights.write, inheriting: 0n };
  assert.is(guest.open("file", { ...truncating, directory: narrow })[0], 0);
  assert.is(readFileSync(join(sandbox.path, "file"), "utf8"), "");
  const [, wide] = guest.open(".", {
    oflags: DIRECTORY,
    base: pathOpen | setSize,
    inheriting: fileRights.read | fileRights.write,
  });
  assert.is(guest.call("fd_fdstat_set_rights", wide, pathOpen, fileRights.read | fileRights.write), 0);
  assert.is(guest.open("file", { ...truncating, directory: wide })[0], errno.NOTCAPABLE);
  assert.is(guest.open("file", { base: fileRights.write, inheriting: 0n, directory: wide })[0], 0);
});

test("append and the other flags", () => {
  using sandbox = new Sandbox();
  const guest = sandbox.guest();
  writeFileSync(join(sandbox.path, "file"), "one");
  const [, fd] = guest.open("file", { flags: 1 });
  guest.write(fd, "two");
  assert.is(readFileSync(join(sandbox.path, "file"), "utf8"), "onetwo");
  assert.is(guest.call("fd_fdstat_set_flags", fd, 16), 0);
  const stat = guest.alloc(24);
  assert.is(guest.call("fd_fdstat_get", fd, stat), 0);
  assert.is(guest.view.getUint16(stat + 2, true), 16);
  guest.call("fd_seek", fd, 0n, 0, stat);
  guest.write(fd, "ONE");
  assert.is(readFileSync(join(sandbox.path, "file"), "utf8"), "ONEtwo");
});

test("the tree: create, rename, link, symlink, readlink, remove", () => {
  using sandbox = new Sandbox();
  const guest = sandbox.guest();
  assert.is(guest.call("path_create_directory", 3, ...guest.text("d")), 0);
  assert.is(guest.call("path_create_directory", 3, ...guest.text("d")), errno.EXIST);
  guest.open("d/file", { oflags: CREATE });
  assert.is(guest.call("path_remove_directory", 3, ...guest.text("d")), errno.NOTEMPTY);
  assert.is(guest.call("path_unlink_file", 3, ...guest.text("d")), errno.ISDIR);
  assert.is(guest.call("path_link", 3, 0, ...guest.text("d/file"), 3, ...guest.text("hard")), 0);
  assert.is(statSync(join(sandbox.path, "hard")).nlink, 2);
  assert.is(guest.call("path_symlink", ...guest.text("d/file"), 3, ...guest.text("soft")), 0);
  const buffer = guest.alloc(64);
  const used = guest.alloc(4);
  assert.is(guest.call("path_readlink", 3, ...guest.text("soft"), buffer, 3, used), 0);
  assert.is(guest.string(buffer, guest.view.getUint32(used, true)), "d/f");
  assert.is(guest.call("path_rename", 3, ...guest.text("hard"), 3, ...guest.text("d/moved")), 0);
  assert.is(guest.call("path_remove_directory", 3, ...guest.text("d/file")), errno.NOTDIR);
  assert.is(guest.open("d/file/", { follow: 1 })[0], errno.NOTDIR);
});

test("paths that are none", () => {
  using sandbox = new Sandbox();
  mkdirSync(join(sandbox.path, "d"));
  symlinkSync("d", join(sandbox.path, "link"));
  const guest = sandbox.guest();
  assert.is(guest.open("")[0], errno.NOENT);
  assert.is(guest.open("a\0b")[0], errno.INVAL);
  assert.is(guest.open("x".repeat(5000))[0], errno.NAMETOOLONG);
  assert.is(guest.open(Buffer.from([0x61, 0xff]) as unknown as string)[0], errno.ILSEQ);
  assert.is(guest.call("path_unlink_file", 3, ...guest.text("link/")), errno.NOTDIR);
  for (const path of [".", "d/.", "d/..", "./d/../d/"]) {
    assert.is(guest.call("path_filestat_get", 3, 0, ...guest.text(path), guest.alloc(64)), 0, path);
  }
});

test("renumbering and closing", () => {
  using sandbox = new Sandbox();
  const guest = sandbox.guest();
  const [, a] = guest.open("a", { oflags: CREATE });
  const [, b] = guest.open("b", { oflags: CREATE });
  assert.is(guest.call("fd_renumber", a, b), 0);
  guest.write(b, "to a");
  assert.is(readFileSync(join(sandbox.path, "a"), "utf8"), "to a");
  assert.is(guest.call("fd_close", a), errno.BADF);
  assert.is(guest.call("fd_renumber", b, a), errno.BADF);
  assert.is(guest.call("fd_close", b), 0);
  assert.is(guest.open("c", { oflags: CREATE })[1], a, "the lowest free number is used again");
});

test("a guest that asked for it is never blocked by a pipe, though its description would block", () => {
  const fds = pipe();
  try {
    const guest = new Guest({ grant: { stdio: { stdin: fds.read, stdout: fds.write, stderr: -1 } } });
    assert.is(guest.call("fd_fdstat_set_flags", 0, 4), 0);
    assert.is(guest.read(0)[0], 6, "EAGAIN when the guest asked for it");
    assert.equal(guest.write(1, "ready"), [0, 5]);
    assert.equal(guest.read(0), [0, "ready"]);
    assert.is(guest.call("fd_fdstat_set_flags", 1, 4), 0);
    const iovec = guest.alloc(8);
    guest.view.setUint32(iovec + 4, 200_000, true);
    const written = guest.alloc(4);
    assert.is(guest.call("fd_write", 1, iovec, 1, written), 0);
    assert.ok(guest.view.getUint32(written, true) < 200_000);
    assert.is(guest.call("fd_write", 1, iovec, 1, written), 6);
  } finally {
    closeSync(fds.read);
    closeSync(fds.write);
  }
});

/** A FIFO's two ends. */
function pipe(): { read: number; write: number } {
  using sandbox = new Sandbox();
  const path = join(sandbox.path, "fifo");
  execFileSync("mkfifo", [path]);
  const read = openSync(path, 0o4000);
  return { read, write: openSync(path, 1) };
}

/** Every function with pointers that lead out of the memory: a fault, or another errno, never an exception or a crash. */
test("no pointer leads out of the guest's memory", () => {
  using sandbox = new Sandbox();
  writeFileSync(join(sandbox.path, "file"), "content");
  const guest = sandbox.guest(".", { args: ["prog"], env: [["A", "1"]] });
  const [, file] = guest.open("file");
  const wild = [-1, 0x7fffffff, 4 * 65536 - 1, 4 * 65536];
  const skip = new Set(["proc_exit", "proc_raise", "fd_close", "fd_renumber", "sched_yield"]);
  for (const [name, call] of Object.entries(guest.functions)) {
    if (skip.has(name)) continue;
    for (const pointer of wild) {
      const args = argumentsOf(name, file, pointer);
      const error = call(...args);
      assert.ok(error > 0 && error < 77, `${name}(${args.join(", ")}) gave ${error}`);
    }
  }
});

/** Plausible arguments with every pointer replaced. */
function argumentsOf(name: string, file: number, p: number): (number | bigint)[] {
  const all: Record<string, (number | bigint)[]> = {
    args_get: [p, p],
    args_sizes_get: [p, p],
    environ_get: [p, p],
    environ_sizes_get: [p, p],
    clock_res_get: [1, p],
    clock_time_get: [1, 0n, p],
    random_get: [p, 100],
    fd_read: [file, p, 1, p],
    fd_write: [file, p, 1, p],
    fd_pread: [file, p, 1, 0n, p],
    fd_pwrite: [file, p, 1, 0n, p],
    fd_seek: [file, 0n, 0, p],
    fd_tell: [file, p],
    fd_readdir: [3, p, 100, 0n, p],
    fd_filestat_get: [file, p],
    fd_filestat_set_size: [99, 0n],
    fd_filestat_set_times: [99, 0n, 0n, 0],
    fd_advise: [99, 0n, 0n, 0],
    fd_allocate: [99, 0n, 0n],
    fd_sync: [99],
    fd_datasync: [99],
    fd_fdstat_get: [file, p],
    fd_fdstat_set_flags: [99, 0],
    fd_fdstat_set_rights: [99, 0n, 0n],
    fd_prestat_get: [3, p],
    fd_prestat_dir_name: [3, p, 100],
    path_filestat_get: [3, 0, p, 4, p],
    path_readlink: [3, p, 4, p, 10, p],
    path_open: [3, 0, p, 4, 0, 2n, 0n, 0, p],
    path_create_directory: [3, p, 4],
    path_remove_directory: [3, p, 4],
    path_unlink_file: [3, p, 4],
    path_symlink: [p, 4, 3, p, 4],
    path_link: [3, 0, p, 4, 3, p, 4],
    path_rename: [3, p, 4, 3, p, 4],
    path_filestat_set_times: [3, 0, p, 4, 0n, 0n, 0],
    sock_accept: [3, 0, p],
    sock_recv: [file, p, 1, 0, p, p],
    sock_send: [file, p, 1, 0, p],
    sock_shutdown: [file, 1],
    poll_oneoff: [p, p, 1, p],
  };
  const found = all[name];
  if (found === undefined) throw new Error(`no arguments for ${name}`);
  return found;
}

test.run();

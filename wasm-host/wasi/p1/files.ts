import { native } from "../../../src/native.ts";
import { fdFlags, fileTypes } from "./descriptor.ts";
import { presentTimes } from "./deterministic.ts";
import { errno } from "./errno.ts";
import { guarded, viewOf } from "./little-endian.ts";
import { refusal } from "./refusal.ts";
import { rights, rightsFrom } from "./rights.ts";
import type { State } from "./state.ts";

const KNOWN_FLAGS = 31;
const [SEEK_SET, SEEK_CUR, SEEK_END] = [0, 1, 2];
const whences = [SEEK_SET, SEEK_CUR, SEEK_END];
const unstableWhences = [SEEK_CUR, SEEK_END, SEEK_SET];
const NAMETOOLONG = 37;

/** fd_read and its kin: the calls that a guest spends its time in. */
export function transferImports(state: State) {
  const { table } = state;
  return {
    fd_read: (fd: number, iovecs: number, count: number, result: number) => {
      const file = table.get(fd);
      if (file === undefined || (file.base & rights.fdRead) === 0) return refusal(file, rights.fdRead);
      return native.wasiRead(state.bytes(), file.fd, file.flags, iovecs, count, result);
    },
    fd_write: (fd: number, iovecs: number, count: number, result: number) => {
      const file = table.get(fd);
      if (file === undefined || (file.base & rights.fdWrite) === 0) return refusal(file, rights.fdWrite);
      const left = state.outputLeft(file.fd);
      return state.written(
        left,
        native.wasiWrite(state.bytes(), file.fd, file.flags, iovecs, count, result, left),
      );
    },
    fd_pread: (fd: number, iovecs: number, count: number, offset: bigint, result: number) => {
      const file = table.get(fd);
      const needed = rights.fdRead | rights.fdSeek;
      if (file === undefined || (file.base & needed) !== needed) return refusal(file, needed);
      return native.wasiReadAt(state.bytes(), file.fd, iovecs, count, offset, result);
    },
    fd_pwrite: (fd: number, iovecs: number, count: number, offset: bigint, result: number) => {
      const file = table.get(fd);
      const needed = rights.fdWrite | rights.fdSeek;
      if (file === undefined || (file.base & needed) !== needed) return refusal(file, needed);
      const left = state.outputLeft(file.fd);
      return state.written(
        left,
        native.wasiWriteAt(state.bytes(), file.fd, file.flags, iovecs, count, offset, result, left),
      );
    },
    fd_seek: (fd: number, offset: bigint, whence: number, result: number) => {
      const file = table.get(fd);
      // Asking where one is needs the right to tell only.
      const how = (state.unstable ? unstableWhences : whences)[whence];
      const needed = offset === 0n && how === SEEK_CUR ? rights.fdSeek | rights.fdTell : rights.fdSeek;
      if (file === undefined || (file.base & needed) === 0) return refusal(file, needed);
      return how === undefined ? errno.inval : native.wasiSeek(state.bytes(), file.fd, offset, how, result);
    },
    fd_tell: (fd: number, result: number) => {
      const file = table.get(fd);
      if (file === undefined || (file.base & (rights.fdTell | rights.fdSeek)) === 0)
        return refusal(file, rights.fdTell);
      return native.wasiSeek(state.bytes(), file.fd, 0n, SEEK_CUR, result);
    },
    fd_readdir: (fd: number, buffer: number, length: number, cookie: bigint, result: number) => {
      const file = table.get(fd);
      if (file !== undefined && file.type !== fileTypes.directory) return errno.notdir;
      if (file === undefined || (file.base & rights.fdReaddir) === 0) return refusal(file);
      return native.wasiReadDirectory(state.bytes(), file.fd, buffer, length, cookie, result);
    },
  };
}

/** What changes or tells the attributes of an open file. */
export function attributeImports(state: State) {
  const { table } = state;
  return {
    fd_filestat_get: (fd: number, result: number) => {
      const file = table.get(fd);
      if (file === undefined || (file.base & rights.fdFilestatGet) === 0) return refusal(file);
      return native.wasiStat(state.bytes(), file.fd, result, Number(state.unstable));
    },
    fd_filestat_set_size: (fd: number, size: bigint) => {
      const file = table.get(fd);
      if (file === undefined || (file.base & rights.fdFilestatSetSize) === 0)
        return refusal(file, rights.fdFilestatSetSize);
      return native.wasiSetSize(file.fd, size);
    },
    fd_filestat_set_times: (fd: number, atime: bigint, mtime: bigint, flags: number) => {
      const file = table.get(fd);
      if (file === undefined || (file.base & rights.fdFilestatSetTimes) === 0) return refusal(file);
      if (file.readonly) return errno.rofs;
      return native.wasiSetTimes(file.fd, ...presentTimes(state, [atime, mtime, flags]));
    },
    fd_advise: (fd: number, offset: bigint, length: bigint, advice: number) => {
      const file = table.get(fd);
      if (file === undefined || (file.base & rights.fdAdvise) === 0) return refusal(file, rights.fdAdvise);
      return native.wasiAdvise(file.fd, offset, length, advice);
    },
    fd_allocate: (fd: number, offset: bigint, length: bigint) => {
      const file = table.get(fd);
      if (file === undefined || (file.base & rights.fdAllocate) === 0)
        return refusal(file, rights.fdAllocate);
      return native.wasiAllocate(file.fd, offset, length);
    },
    fd_sync: (fd: number) => {
      const file = table.get(fd);
      if (file === undefined || (file.base & rights.fdSync) === 0) return refusal(file);
      return native.wasiSync(file.fd, 0);
    },
    fd_datasync: (fd: number) => {
      const file = table.get(fd);
      if (file === undefined || (file.base & rights.fdDatasync) === 0) return refusal(file);
      return native.wasiSync(file.fd, 1);
    },
  };
}

/** The table of descriptors itself. */
export function descriptorImports(state: State) {
  const { table } = state;
  return {
    fd_close: (fd: number) => {
      const file = table.get(fd);
      return file === undefined ? errno.badf : table.close(fd, file);
    },
    fd_renumber: (from: number, to: number) => {
      const source = table.get(from);
      const target = table.get(to);
      if (source === undefined || target === undefined) return errno.badf;
      return table.renumber(from, to, { from: source, to: target });
    },
    fd_fdstat_get: (fd: number, result: number) => {
      const file = table.get(fd);
      if (file === undefined) return errno.badf;
      return guarded(() => {
        const view = viewOf(state);
        const at = result >>> 0;
        view.setBigUint64(at + 16, BigInt(file.inheriting), true);
        view.setBigUint64(at + 8, BigInt(file.base), true);
        view.setBigUint64(at, 0n, true);
        view.setUint8(at, file.type);
        view.setUint16(at + 2, file.flags, true);
        return 0;
      });
    },
    fd_fdstat_set_flags: (fd: number, flags: number) => {
      const file = table.get(fd);
      if (file === undefined || (file.base & rights.fdFdstatSetFlags) === 0) return refusal(file);
      if ((flags & ~KNOWN_FLAGS) !== 0) return errno.inval;
      if (((flags ^ file.flags) & fdFlags.append) !== 0) {
        const failure = native.wasiSetAppend(file.fd, flags & fdFlags.append);
        if (failure !== 0) return failure;
      }
      file.flags = flags;
      return 0;
    },
    fd_fdstat_set_rights: (fd: number, base: bigint, inheriting: bigint) => {
      const file = table.get(fd);
      if (file === undefined) return errno.badf;
      const [newBase, newInheriting] = [rightsFrom(base), rightsFrom(inheriting)];
      if ((newBase & ~file.base) !== 0 || (newInheriting & ~file.inheriting) !== 0) return errno.notcapable;
      file.base = newBase;
      if ((newBase & rights.pathFilestatSetSize) === 0) file.truncates = false;
      file.inheriting = newInheriting;
      return 0;
    },
    fd_prestat_get: (fd: number, result: number) => {
      const name = table.get(fd)?.preopen;
      if (name === undefined) return errno.badf;
      return guarded(() => {
        const view = viewOf(state);
        view.setUint32((result >>> 0) + 4, name.length, true);
        view.setUint32(result >>> 0, 0, true);
        return 0;
      });
    },
    fd_prestat_dir_name: (fd: number, buffer: number, length: number) => {
      const name = table.get(fd)?.preopen;
      if (name === undefined) return errno.badf;
      if (length >>> 0 < name.length) return NAMETOOLONG;
      return guarded(() => {
        state.bytes().set(name, buffer >>> 0);
        return 0;
      });
    },
  };
}

"""Files as a program of today uses them; says ok at the end."""
import errno
import os
import pathlib
import shutil
import stat
import tempfile
import zipfile


def refused(number, action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        assert error.errno == number, f"{error!r} instead of {errno.errorcode[number]}"
    else:
        raise AssertionError(f"{action} {arguments}: not refused")


os.chdir("/work")
root = pathlib.Path(tempfile.mkdtemp(dir="/work"))

# Text and bytes, seek and truncate, append, sparse files.
text = root / "text"
text.write_text("one\ntwo\nthree\n", encoding="utf-8")
with text.open("r+b") as file:
    file.seek(-6, os.SEEK_END)
    assert file.read() == b"three\n"
    file.truncate(8)
    file.seek(4096)
    file.write(b"far")
assert text.stat().st_size == 4099
with text.open("ab") as file:
    assert file.tell() == 4099
    file.write(b"!")
assert text.read_bytes() == b"one\ntwo\n" + bytes(4088) + b"far!"
refused(errno.EEXIST, os.open, text, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
descriptor = os.open(text, os.O_RDWR)
assert os.pread(descriptor, 3, 4) == b"two" and os.pwrite(descriptor, b"TWO", 4) == 3
assert os.readv(descriptor, [bytearray(3), bytearray(2)]) >= 3  # wasmtime fills one
os.fsync(descriptor)
os.ftruncate(descriptor, 3)
assert os.fstat(descriptor).st_size == 3
os.close(descriptor)
refused(errno.EBADF, os.fstat, descriptor)

# Times have nanoseconds.
os.utime(text, ns=(1_234_567_890_123_456_789, 987_654_321_012_345_678))
assert text.stat().st_mtime_ns == 987_654_321_012_345_678
assert text.stat().st_atime_ns == 1_234_567_890_123_456_789

# Links, and what refuses to follow them.
link = root / "link"
link.symlink_to("text")
assert os.readlink(link) == "text" and link.read_text() == "one"
assert stat.S_ISLNK(os.lstat(link).st_mode)
os.link(text, root / "hard")
assert (root / "hard").stat().st_nlink == 2 and (root / "hard").samefile(text)
loop = root / "loop"
loop.symlink_to("loop")
refused(errno.ELOOP, loop.read_bytes)
(root / "out").symlink_to("../../../etc/passwd")
try:
    (root / "out").read_bytes()
except OSError:
    pass
else:
    raise AssertionError("a symlink leads out of what is granted")

# Directories: order does not matter, `..` within is followed, a full one is not removed.
tree = root / "tree"
for number in range(300):
    (tree / f"d{number % 3}").mkdir(parents=True, exist_ok=True)
    (tree / f"d{number % 3}" / f"{number:03}").write_bytes(bytes([number % 256]) * number)
walked = sorted(os.path.join(at, name) for at, _, names in os.walk(tree) for name in names)
assert len(walked) == 300 and len(list(tree.rglob("*7"))) == 30
assert os.path.samefile(tree / "d0" / ".." / "d1", tree / "d1")
refused(errno.ENOTEMPTY, os.rmdir, tree)
refused(errno.ENOENT, os.rmdir, tree / "nothing")
refused(errno.ENOTDIR, os.listdir, tree / "d0" / "000")
refused(errno.EISDIR, os.open, tree, os.O_WRONLY)
with os.scandir(tree / "d2") as entries:
    assert all(entry.is_file() and not entry.is_symlink() for entry in entries)

# Renames replace files and empty directories, nothing else.
os.replace(root / "hard", tree / "d0" / "000")
assert (tree / "d0" / "000").read_text() == "one"
(root / "empty").mkdir()
refused(errno.ENOTEMPTY, os.rename, root / "empty", tree)
os.rename(tree / "d2", root / "empty")
assert not (tree / "d2").exists() and len(list((root / "empty").iterdir())) == 100

shutil.copytree(tree, root / "copy", symlinks=True, copy_function=shutil.copyfile)
with zipfile.ZipFile(root / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for path in walked[:200]:
        archive.write(path, os.path.relpath(path, tree))
with zipfile.ZipFile(root / "all.zip") as archive:
    assert archive.testzip() is None and len(archive.namelist()) == 200

shutil.rmtree(root)
assert not root.exists()

# Nothing but what is granted.
refused(errno.ENOENT, open, "/etc/passwd")
print("ok")

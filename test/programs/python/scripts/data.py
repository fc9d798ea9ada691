"""What the C parts of the library make of data; each line has to be the same on every host."""
import base64
import bz2
import csv
import datetime
import decimal
import fractions
import hashlib
import io
import json
import math
import pickle
import random
import re
import sqlite3
import statistics
import struct
import unicodedata
import xml.etree.ElementTree as tree
import zlib

rng = random.Random(42)
noise = rng.randbytes(1 << 20)
print("noise", hashlib.sha3_256(noise).hexdigest(), hashlib.blake2b(noise).hexdigest()[:32])
print("zlib", zlib.crc32(noise), zlib.decompress(zlib.compress(noise, 9)) == noise)
print("bz2", bz2.decompress(bz2.compress(b"abc" * 100_000)) == b"abc" * 100_000)
print("base64", base64.b85encode(noise[:32]).decode())

decimal.getcontext().prec = 100
print("decimal", decimal.Decimal(2).sqrt())
print("fraction", sum(fractions.Fraction(1, n) for n in range(1, 60)))
print("integer", hashlib.md5(str(3**5000).encode()).hexdigest(), pow(3, 10**50, 10**40 + 7))
print("float", math.fsum([0.1] * 10), math.gamma(5.5), math.erf(0.5), repr(1e23), (0.1).hex(), math.nextafter(1.0, 2.0))
print("statistics", statistics.stdev(rng.gauss(0, 1) for _ in range(10_000)))

rows = [(n, unicodedata.name(chr(n))) for n in range(0x2190, 0x21A0)]
buffer = io.StringIO()
csv.writer(buffer).writerows(rows)
print("csv", zlib.adler32(buffer.getvalue().encode()))
print("json", json.dumps({"a": [1, 2.5, None, "\u20ac\U0001f600"], "b": {"c": True}}, sort_keys=True))
print("pickle", pickle.loads(pickle.dumps({"rows": rows, "date": datetime.date(2024, 2, 29)}))["date"])
print("re", re.sub(r"(?P<y>\d{4})-(?P<m>\d\d)", r"\g<m>/\g<y>", "2024-05 and 1999-12"), re.findall(r"(?<=a)b+", "ab abb cb"))
print("struct", struct.pack("<hiqd", -2, 3, 1 << 40, 1.5).hex())
print("xml", tree.fromstring("<a><b c='d'>e&amp;f</b><b/></a>").find("b").text)
print("time", datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc).timestamp(), datetime.date.fromordinal(1))

database = sqlite3.connect("/work/data.db")
database.execute("CREATE TABLE t(n INTEGER PRIMARY KEY, v TEXT)")
with database:
    database.executemany("INSERT INTO t VALUES (?, ?)", ((n, str(n * n)) for n in range(20_000)))
try:
    with database:
        database.execute("DELETE FROM t")
        raise KeyError
except KeyError:
    pass
print("sqlite", database.execute("SELECT count(*), sum(v), max(length(v)) FROM t").fetchone(), database.execute("PRAGMA integrity_check").fetchone())
database.close()

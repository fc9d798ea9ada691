assert(("%d %5.2f %q %x %s"):format(42, 3.14159, "a\n", 255, true) == '42  3.14 "a\\\n" ff true')
assert(("hello world"):gsub("o", "0") == "hell0 w0rld")
assert(("key = value"):match("^(%w+)%s*=%s*(%w+)$") == "key")
assert(("THE (quick) fox"):find("%((%a+)%)") == 5)
assert(string.unpack("<i4", string.pack("<i4", -7)) == -7)
assert(utf8.len("äöü€😀") == 5 and utf8.char(0x20ac) == "€")
assert(math.maxinteger + 1 == math.mininteger and 7 // 2 == 3 and -7 // 2 == -4 and 7 % -3 == -2)
assert(1e308 * 10 == math.huge and 0 / 0 ~= 0 / 0)
assert(tostring(0.1) == "0.1" and tostring(1e15) == "1e+15" and tostring(2^53) == "9.007199254741e+15")
assert(tonumber("0x1p4") == 16 and tonumber("1e1") == 10 and tonumber("z", 36) == 35)
local chunk = load("return ...", "chunk", "t")
assert(chunk(3) == 3)
assert(load(string.dump(function(a) return a * 2 end))(21) == 42)
local t = {}
for i = 1, 100000 do t[i] = (i * 7919) % 100003 end
table.sort(t)
for i = 2, #t do assert(t[i - 1] <= t[i]) end
print("ok")

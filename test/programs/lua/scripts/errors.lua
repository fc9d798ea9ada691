-- Errors are WebAssembly exceptions here: thrown and caught at every depth, across C and Lua.
assert(select("#", pcall(error)) == 2)
local ok, message = pcall(error, "text", 0)
assert(not ok and message == "text")
local ok, object = pcall(error, { code = 7 })
assert(not ok and object.code == 7)
local ok, message = pcall(function() local none; return none.field end)
assert(not ok and message:find("attempt to index a nil value %(local 'none'%)"))

-- Through C functions that call back.
local ok, message = pcall(string.gsub, "x", ".", function() error("within gsub") end)
assert(not ok and message:find("within gsub"))
local ok, message = pcall(table.sort, { 3, 2, 1 }, function() error("within sort") end)
assert(not ok and message:find("within sort"))

-- A handler sees the stack before it is unwound.
local ok, trace = xpcall(function() error("deep") end, debug.traceback)
assert(not ok and trace:find("deep") and trace:find("stack traceback"))
-- An error in a handler.
assert(select(2, xpcall(error, function() error("again") end)) ~= nil)

-- Rethrown, one level after the other.
local function rethrow(depth)
  if depth == 0 then error("bottom", 0) end
  local ok, message = pcall(rethrow, depth - 1)
  error(message .. "<", 0)
end
assert(select(2, pcall(rethrow, 100)) == "bottom" .. ("<"):rep(100))

-- A hundred thousand of them: nothing is left behind.
local caught = 0
for i = 1, 100000 do
  if not pcall(error, i) then caught = caught + 1 end
end
assert(caught == 100000)

-- Too deep is an error, not the end: of Lua's own stack, and of C's.
local function forever(n) return 1 + forever(n + 1) end
local ok, message = pcall(forever, 1)
assert(not ok and message:find("stack overflow"))
local depth = 0
local function nested() depth = depth + 1; return pcall(nested) end
nested()
assert(depth > 100)
assert(not pcall(string.rep, "x", 1 << 40))

-- What is to be closed is closed on the way.
local closed = {}
local function closing(name) return setmetatable({}, { __close = function(_, e) closed[#closed + 1] = name .. tostring(e) end }) end
pcall(function()
  local a <close> = closing("a")
  local b <close> = closing("b")
  error("!", 0)
end)
assert(table.concat(closed, " ") == "b! a!")
print("ok")

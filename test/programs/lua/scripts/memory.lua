-- Garbage of every kind; the heap is small again afterwards.
local before = collectgarbage("count")
for round = 1, 20 do
  local trees = {}
  for i = 1, 2000 do trees[i] = { i, tostring(i):rep(10), { i }, function() return i end } end
end
collectgarbage()
assert(collectgarbage("count") < before + 2000)

local finalised = 0
for i = 1, 1000 do setmetatable({}, { __gc = function() finalised = finalised + 1 end }) end
collectgarbage()
assert(finalised == 1000)
-- A finalizer's error is a warning.
setmetatable({}, { __gc = function() error("in a finalizer") end })
collectgarbage()

local weak = setmetatable({}, { __mode = "k" })
for i = 1, 1000 do weak[{}] = i end
collectgarbage()
assert(next(weak) == nil)
collectgarbage("generational")
for i = 1, 100000 do local _ = { i } end
collectgarbage("incremental")

-- 64 MB in one string.
local long = ("0123456789abcdef"):rep(1 << 22)
assert(#long == 1 << 26 and long:sub(-3) == "def")
print("ok")

local function generate(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end) end
local sum = 0
for i in generate(100000) do sum = sum + i end
assert(sum == 5000050000)

-- Errors end one, not its resumer; yields cross pcall, metamethods and iterators.
local co = coroutine.create(function(a)
  local ok, message = pcall(function() local b = coroutine.yield(a + 1); error(b, 0) end)
  assert(not ok)
  coroutine.yield(message)
  error({ "last" })
end)
assert(select(2, coroutine.resume(co, 1)) == 2)
assert(select(2, coroutine.resume(co, "thrown")) == "thrown")
local ok, object = coroutine.resume(co)
assert(not ok and object[1] == "last" and coroutine.status(co) == "dead")
local t = setmetatable({}, { __index = function(_, k) return coroutine.yield(k) end })
local co = coroutine.wrap(function() return "got " .. t.key end)
assert(co() == "key" and co(5) == "got 5")

-- Many at once, resumed in turn.
local all = {}
for i = 1, 2000 do all[i] = coroutine.create(function() for j = 1, 10 do coroutine.yield(i * j) end return "end" end) end
local total = 0
for round = 1, 10 do for i = 1, 2000 do total = total + select(2, coroutine.resume(all[i])) end end
assert(total == 55 * 2001000)
for i = 1, 2000 do assert(select(2, coroutine.resume(all[i])) == "end") end

-- Nested too deep is an error.
local function nest(n) return coroutine.wrap(function() return nest(n + 1) end)() end
local ok, message = pcall(nest, 1)
assert(not ok and message:find("overflow"))
assert(coroutine.close(coroutine.create(print)))
print("ok")

"""This file exists to hold what Redis does for limits that several workers share: the one script.

Owns   the state of each limit in Redis, and its arithmetic on Redis' own clock.
Fails  never: a limit whose state is gone begins as the asking worker knows it, not as full.

A worker takes a lease of so many (tokens of a rate or quota, slots of a concurrency), serves from
it, and tells how much it used when it asks again. What lies in leases unused is never given out a
second time: a rate's bucket fills up only as far as `most` less all that is out. So in any span no
more than burst + rate * time is admitted by all workers together, whoever holds what.

An expired lease counts as used (its worker may be gone); what a worker gives back is there again.
A worker speaks of its lease in running totals, so that a lost answer loses and doubles nothing.
"""

# state of a rate:  v = when the bucket is full again (us, since _EPOCH), l = leases
# state of a quota: v = given out in this period, l = leases
# state of a hold:  l = leases
# a lease: {given in total, used in total, expires us}; of a hold: {slots, 0, expires us}
# an ask: {key, kind, need, want, used, back, late, known, each_us, most, floor, keep_ms, lease_us}
SCRIPT = """
local me, groups = ARGV[1], cmsgpack.unpack(ARGV[2])
local clock = redis.call('TIME')
local now = (clock[1] - 1767225600) * 1000000 + clock[2]

local function settle_rate(s, a)
  local each, most = a[9], a[10]
  local full = now + most * each
  local lost = not s and a[8] == 1
  s = s or {v = lost and full or now, l = {}}
  s.v = math.min(s.v, full)  -- empty is empty, also when the limit was raised meanwhile
  local out, gone = 0, {}
  for id, l in pairs(s.l) do
    out = out + l[1] - l[2]
    if l[3] <= now then gone[#gone + 1] = id end
  end
  table.sort(gone, function(p, q) return s.l[p][3] < s.l[q][3] end)
  for _, id in ipairs(gone) do
    local l = s.l[id]
    s.v = math.max(s.v, l[3] + out * each)
    out = out - (l[1] - l[2])
    s.l[id] = nil
  end
  s.v = math.max(s.v, now + out * each)
  if not lost then s.v = math.max(s.v, math.min(s.v + a[7] * each, full)) end
  local l = s.l[me] or {a[5], a[5], 0}
  l[2] = math.max(l[2], a[5])
  l[1] = math.max(l[1], l[2])
  if a[6] == 1 then s.v = s.v - (l[1] - l[2]) * each; l[1] = l[2] end
  l[3] = now + a[13]
  s.l[me] = l
  local free = math.floor((full - s.v) / each + 0.000001)
  return s, math.max(0, math.min(free, most))
end

local function settle_quota(s, a)
  s = s or {v = 0, l = {}}
  s.v = math.max(s.v, a[11]) + a[7]
  for id, l in pairs(s.l) do if l[3] <= now then s.l[id] = nil end end
  local l = s.l[me] or {a[5], a[5], 0}
  l[2] = math.max(l[2], a[5])
  l[1] = math.max(l[1], l[2])
  if a[6] == 1 then s.v = s.v - (l[1] - l[2]); l[1] = l[2] end
  l[3] = now + a[13]
  s.l[me] = l
  return s, math.max(0, a[10] - s.v)
end

local function settle_hold(s, a)
  s = s or {l = {}}
  local others = 0
  for id, l in pairs(s.l) do
    if l[3] <= now then s.l[id] = nil elseif id ~= me then others = others + l[1] end
  end
  return s, math.max(0, a[10] - others)
end

local settle = {settle_rate, settle_quota, settle_hold}
local answers = {}
for g, group in ipairs(groups) do
  local states, free, fits = {}, {}, true
  for i, a in ipairs(group) do
    local raw = redis.call('GET', KEYS[a[1]])
    states[i], free[i] = settle[a[2]](raw and cmsgpack.unpack(raw), a)
    if free[i] < a[3] then fits = false end
  end
  local told = {}
  for i, a in ipairs(group) do
    local s, n, wait = states[i], 0, 0
    if a[2] == 3 then
      n = math.min(free[i], fits and a[4] or a[5])
      s.l[me] = n > 0 and {n, 0, now + a[13]} or nil
      told[i] = {n, free[i] - n, 0, 0}
    else
      local workers = 0
      for _ in pairs(s.l) do workers = workers + 1 end
      if fits then n = math.min(a[4], math.max(a[3], math.floor(free[i] / workers))) end
      if free[i] < a[3] and a[2] == 1 then
        wait = s.v + a[3] * a[9] - now - a[10] * a[9]
      end
      local l = s.l[me]
      l[1] = l[1] + n
      if a[2] == 1 then s.v = s.v + n * a[9] else s.v = s.v + n end
      told[i] = {l[1], free[i] - n, math.max(0, math.ceil(wait)), a[2] == 2 and s.v or 0}
    end
    local keep = a[12]
    if a[2] == 1 then keep = keep + math.ceil(math.max(0, s.v - now) / 1000) end
    redis.call('SET', KEYS[a[1]], cmsgpack.pack(s), 'PX', keep)
  end
  answers[g] = told
end

local live = 0
if ARGV[3] ~= '' then
  redis.call('ZADD', ARGV[3], now + 3000000, me)
  redis.call('ZREMRANGEBYSCORE', ARGV[3], '-inf', now)
  redis.call('PEXPIRE', ARGV[3], 60000)
  live = redis.call('ZCARD', ARGV[3])
end
return cmsgpack.pack({clock[1] + clock[2] / 1000000, live, answers})
"""

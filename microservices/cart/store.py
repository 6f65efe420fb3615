"""The carts' Redis: the client, and the scripts that are its transactions.

A cart is one hash, `cart:<id>`: a field per product id with `<quantity> <order of adding>
<snapshot>`, and `_version` and `_settled`. A product's view is JSON in `product:<id>`.

When memory is full, Redis refuses the first command of a script that could need more, and
nothing is changed. A script that begins with one that cannot (HDEL, PEXPIRE) runs to its end: so
taking things out of carts goes on, and a full Redis can be relieved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import RedisError
from redis.retry import Retry

MOST_SETTLED = 200
CONNECT_SECONDS = 1.0


@dataclass(frozen=True)
class Scripts:
    """The changes that must happen whole and alone.

    Attributes:
        open: makes an empty cart; see `OPEN`.
        look: a cart and what is known of its products; see `LOOK`.
        change_known: adds to a line or sets it, if what is known allows it; see `CHANGE_KNOWN`.
        change: the same, by what the catalog said; see `CHANGE`.
        remove: takes a line out; see `REMOVE`.
        settle: takes out what an order bought; see `SETTLE`.
        learn: keeps the newer of two views of a product; see `LEARN`.
    """

    open: Script
    look: Script
    change_known: Script
    change: Script
    remove: Script
    settle: Script
    learn: Script


def connect(url: str, *, wait_seconds: float, connections: int) -> Redis:
    """A client with bounded waits. Nothing connects before its first command.

    It never repeats a command by itself, which redis-py does by default in some of its clients:
    one that was sent and not answered may have been done, and adding twice is not adding once.
    """
    return Redis.from_url(
        url,
        socket_timeout=wait_seconds,
        socket_connect_timeout=min(CONNECT_SECONDS, wait_seconds),
        retry=Retry(NoBackoff(), 0),
        max_connections=connections,
        decode_responses=True,
    )


def scripts(redis: Redis) -> Scripts:
    """The scripts, each sent to Redis when it first runs there."""
    return Scripts(
        open=redis.register_script(OPEN),
        look=redis.register_script(LOOK),
        change_known=redis.register_script(CHANGE_KNOWN),
        change=redis.register_script(CHANGE),
        remove=redis.register_script(REMOVE),
        settle=redis.register_script(SETTLE),
        learn=redis.register_script(LEARN),
    )


def ping(redis: Redis) -> bool:
    """Whether Redis answers."""
    try:
        return bool(redis.ping())
    except RedisError:
        return False


def memory(redis: Redis) -> dict[str, int]:
    """Bytes in use and allowed (0: no bound), for /status."""
    found: dict[str, Any] = redis.info("memory")
    return {"used_bytes": found["used_memory"], "max_bytes": found["maxmemory"]}


# KEYS: the cart. ARGV: TTL in ms.
OPEN = """
redis.call('HSET', KEYS[1], '_version', 1, '_settled', '')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""

# Which views are read is in the cart, so they cannot be named among the keys.
_KNOWN = """
local function known(cart_key, sign, one_more)
  local cart, ids, views, seen = redis.call('HGETALL', cart_key), {}, {}, {}
  local function add(id)
    if seen[id] then return end
    seen[id] = true
    ids[#ids + 1], views[#views + 1] = id, 'product:' .. id
  end
  for i = 1, #cart, 2 do
    if cart[i]:sub(1, 1) ~= '_' then add(cart[i]) end
  end
  if one_more then add(one_more) end
  if #ids > 0 then views = redis.call('MGET', unpack(views)) end
  return cart, redis.call('EXISTS', sign), ids, views
end
"""

# Answers nothing when it is done, or why it is not. `stock` and `snapshot` may be "", see CHANGE.
_PUT = """
local function put(cart, how, product, quantity, stock, snapshot, ttl, most_lines, most_units)
  local line = redis.call('HGET', cart, product)
  local kept, place, seen = 0, nil, ''
  if line then
    kept, place, seen = line:match('^(%d+) (%d+) (.*)$')
  elseif redis.call('HLEN', cart) - 2 >= tonumber(most_lines) then
    return {'lines'}
  end
  local wanted = tonumber(quantity)
  if how == 'add' then wanted = wanted + tonumber(kept) end
  if wanted > tonumber(most_units) then return {'units'} end
  if stock ~= '' and wanted > tonumber(stock) then return {'short', wanted} end
  local version = tonumber(redis.call('HGET', cart, '_version')) + 1
  if snapshot ~= '' then seen = snapshot end
  line = string.format('%d %d ', wanted, place or version) .. seen
  redis.call('HSET', cart, product, line, '_version', string.format('%d', version))
  redis.call('PEXPIRE', cart, ttl)
end
"""

# KEYS: the cart, the sign that the catalog was heard of. ARGV: TTL in ms. Answers {the hash, sign,
# ids of its products, their views}, or {} when the cart is gone.
LOOK = f"""{_KNOWN}
if redis.call('PEXPIRE', KEYS[1], ARGV[1]) == 0 then return {{}} end
return {{known(KEYS[1], KEYS[2])}}
"""

# KEYS: the cart, the sign, the product's view. ARGV: "add" or "set", product id, quantity, TTL in
# ms, most lines, most units of a line. Changes the cart if all that is known allows it. Answers 1
# or 0, whether it did, and then as LOOK, of this product too.
CHANGE_KNOWN = f"""{_KNOWN}{_PUT}
if redis.call('EXISTS', KEYS[1]) == 0 then return {{}} end
local text = redis.call('EXISTS', KEYS[2]) == 1 and redis.call('GET', KEYS[3])
local view, done = text and cjson.decode(text) or {{}}, 0
if view.active and view.available then
  local snapshot = cjson.encode({{name = view.name, price_cents = view.price_cents}})
  if not put(KEYS[1], ARGV[1], ARGV[2], ARGV[3], view.available, snapshot, unpack(ARGV, 4)) then
    done = 1
  end
end
if done == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return {{done, known(KEYS[1], KEYS[2], ARGV[2])}}
"""

# KEYS: the cart. ARGV: "add" or "set", product id, quantity, units in stock or "" when unknown,
# snapshot or "" to keep the one there is, TTL in ms, most lines, most units of a line.
# Answers {"ok", the hash} or {"gone"}, {"lines"}, {"units"}, {"short", units wanted}.
CHANGE = f"""{_PUT}
if redis.call('EXISTS', KEYS[1]) == 0 then return {{'gone'}} end
return put(KEYS[1], unpack(ARGV)) or {{'ok', redis.call('HGETALL', KEYS[1])}}
"""

# KEYS: the cart. ARGV: product id, TTL in ms. Answers {"ok", the hash}, {"gone"} or {"absent"}.
REMOVE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return {'gone'} end
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return {'absent'} end
redis.call('HINCRBY', KEYS[1], '_version', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'ok', redis.call('HGETALL', KEYS[1])}
"""

# KEYS: the cart. ARGV: order id, TTL in ms, length of `_settled`, then product id and quantity
# of each line. Answers 1, or 0 when the cart is gone or has had this order.
SETTLE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local settled = redis.call('HGET', KEYS[1], '_settled')
if settled:find(ARGV[1], 1, true) then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
for i = 4, #ARGV, 2 do
  local line = redis.call('HGET', KEYS[1], ARGV[i])
  if line then
    local kept, rest = line:match('^(%d+)( .*)$')
    local left = tonumber(kept) - tonumber(ARGV[i + 1])
    if left > 0 then
      redis.call('HSET', KEYS[1], ARGV[i], string.format('%d', left) .. rest)
    else
      redis.call('HDEL', KEYS[1], ARGV[i])
    end
  end
end
settled = (ARGV[1] .. ' ' .. settled):sub(1, tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], '_settled', settled)
redis.call('HINCRBY', KEYS[1], '_version', 1)
return 1
"""

# KEYS: the view. ARGV: what is said of the product (JSON with `version`, `stock_version` or
# both), TTL in ms or "" to leave a view that is not there alone. Each half is taken if it is
# newer than what is known. Answers the view, or "" when there is none.
LEARN = """
local kept = redis.call('GET', KEYS[1])
if not kept and ARGV[2] == '' then return '' end
local view, said = cjson.decode(kept or '{}'), cjson.decode(ARGV[1])
local halves = {
  version = {'name', 'price_cents', 'active', 'version'},
  stock_version = {'available', 'stock_version'},
}
for version, members in pairs(halves) do
  if said[version] and said[version] > (view[version] or 0) then
    for _, member in ipairs(members) do view[member] = said[member] end
  end
end
local text = cjson.encode(view)
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[1], text, 'PX', ARGV[2])
elseif text ~= kept then
  local left = math.max(redis.call('PTTL', KEYS[1]), 1)
  redis.call('PEXPIRE', KEYS[1], left)
  redis.call('SET', KEYS[1], text, 'PX', left)
end
return text
"""

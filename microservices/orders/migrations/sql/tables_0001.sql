CREATE TABLE orders (
    id text PRIMARY KEY,
    user_id text NOT NULL,
    status text NOT NULL CONSTRAINT orders_status CHECK (status IN (
        'pending', 'reserved', 'paid', 'confirmed', 'preparing', 'shipped', 'delivered',
        'cancelled', 'failed')),
    step text NOT NULL CONSTRAINT orders_step
        CHECK (step IN ('reserve', 'pay', 'compensate', 'done')),
    cart_id text NOT NULL,
    cart_version bigint NOT NULL,
    items jsonb NOT NULL,
    total_cents bigint NOT NULL CONSTRAINT orders_total_not_negative CHECK (total_cents >= 0),
    currency text NOT NULL,
    payment jsonb NOT NULL,
    shipping_address jsonb,
    failure jsonb,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    lease_until timestamptz NOT NULL,
    retry_at timestamptz NOT NULL
);
CREATE INDEX orders_of_user ON orders (user_id, id);
CREATE INDEX orders_by_status ON orders (status, id);
CREATE INDEX orders_unfinished ON orders (retry_at) WHERE step <> 'done';
CREATE UNIQUE INDEX orders_once_per_cart ON orders (cart_id, cart_version)
    WHERE status NOT IN ('failed', 'cancelled');

CREATE TABLE saga_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id text NOT NULL,
    step text NOT NULL,
    outcome text NOT NULL,
    attempt bigint NOT NULL,
    at timestamptz NOT NULL,
    detail text NOT NULL
);
CREATE INDEX saga_log_of_order ON saga_log (order_id, id);

CREATE TABLE payments (
    order_id text PRIMARY KEY,
    amount_cents bigint NOT NULL CONSTRAINT payments_not_negative CHECK (amount_cents >= 0),
    currency text NOT NULL,
    state text NOT NULL CONSTRAINT payments_state CHECK (state IN ('captured', 'refunded')),
    at timestamptz NOT NULL
);

CREATE TABLE idempotency_keys (
    user_id text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    body_hash text NOT NULL,
    order_id text NOT NULL UNIQUE,
    status bigint,
    -- As it was sent: jsonb would forget the order of its members.
    body text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, route, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- What the simulated payment provider remembers. A real one keeps this in its own house; nothing
-- of ours reads it but the provider's own code and the audit.
CREATE TABLE simulated_charges (
    order_id text PRIMARY KEY,
    amount_cents bigint NOT NULL,
    currency text NOT NULL,
    state text NOT NULL CONSTRAINT simulated_charges_state
        CHECK (state IN ('captured', 'cancelled', 'refunded')),
    at timestamptz NOT NULL
);

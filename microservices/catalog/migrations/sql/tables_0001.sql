-- Case and accents folded: contrib's unaccent is not in every PostgreSQL, and is not IMMUTABLE.
CREATE FUNCTION fold(word text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT translate(lower(word), 'áàâãäåéèêëíìîïóòôõöúùûüçñýÿ', 'aaaaaaeeeeiiiiooooouuuucnyy')
$$;

-- Words as they are (for prefixes as one types) and Portuguese stems (for plurals and the like).
CREATE FUNCTION search_vector(name text, description text)
RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT setweight(to_tsvector('pg_catalog.simple', fold(name)), 'A')
        || setweight(to_tsvector('pg_catalog.portuguese', fold(name)), 'A')
        || setweight(to_tsvector('pg_catalog.simple', fold(description)), 'C')
        || setweight(to_tsvector('pg_catalog.portuguese', fold(description)), 'C')
$$;

CREATE TABLE categories (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug text NOT NULL UNIQUE,
    name text NOT NULL UNIQUE
);

CREATE TABLE products (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku text NOT NULL UNIQUE,
    name text NOT NULL,
    description text NOT NULL,
    category_id bigint NOT NULL REFERENCES categories (id),
    price_cents bigint NOT NULL CONSTRAINT products_price_not_negative CHECK (price_cents >= 0),
    currency text NOT NULL DEFAULT 'BRL',
    image_url text NOT NULL,
    active boolean NOT NULL DEFAULT true,
    version bigint NOT NULL DEFAULT 1,
    name_key text COLLATE "C" GENERATED ALWAYS AS (fold(name)) STORED,
    search tsvector GENERATED ALWAYS AS (search_vector(name, description)) STORED
);
CREATE INDEX products_by_name ON products (name_key, id);
CREATE INDEX products_by_price ON products (price_cents, id);
CREATE INDEX products_by_category ON products (category_id, name_key, id);
CREATE INDEX products_search ON products USING gin (search);

CREATE TABLE stock (
    product_id bigint NOT NULL REFERENCES products (id),
    branch text NOT NULL,
    available bigint NOT NULL CONSTRAINT stock_not_negative CHECK (available >= 0),
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (product_id, branch)
);

CREATE TABLE stock_movements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id bigint NOT NULL,
    branch text NOT NULL,
    delta bigint NOT NULL CONSTRAINT stock_movements_moves CHECK (delta <> 0),
    kind text NOT NULL CONSTRAINT stock_movements_kind
        CHECK (kind IN ('supply', 'adjust', 'reserve', 'release', 'return')),
    reference text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX stock_movements_of_product ON stock_movements (product_id, branch, id);

CREATE TABLE reservations (
    id text PRIMARY KEY,
    branch text NOT NULL,
    state text NOT NULL CONSTRAINT reservations_state
        CHECK (state IN ('held', 'committed', 'released')),
    lines jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    settled_at timestamptz
);
CREATE INDEX reservations_held ON reservations (expires_at) WHERE state = 'held';

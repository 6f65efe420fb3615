CREATE TABLE users (
    id text CONSTRAINT users_pkey PRIMARY KEY,
    email text NOT NULL CONSTRAINT users_email_key UNIQUE
        CONSTRAINT users_email_lower_case CHECK (email = lower(email)),
    name text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL CONSTRAINT users_role CHECK (role IN ('customer', 'operator', 'admin')),
    active boolean NOT NULL DEFAULT true,
    -- Access tokens carry the generation that they were made in; an older one is worth nothing.
    generation bigint NOT NULL DEFAULT 1
        CONSTRAINT users_generation_positive CHECK (generation >= 1),
    generation_at timestamptz,
    created_at timestamptz NOT NULL
);
CREATE INDEX users_by_generation_change ON users (generation_at) WHERE generation_at IS NOT NULL;
CREATE INDEX users_admins ON users (id) WHERE role = 'admin' AND active;

-- A session is what one login began: the family of refresh tokens that follow each other.
CREATE TABLE sessions (
    id text CONSTRAINT sessions_pkey PRIMARY KEY,
    user_id text NOT NULL CONSTRAINT sessions_user_fkey REFERENCES users (id),
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_reason text CONSTRAINT sessions_ended_reason
        CHECK (ended_reason IN ('logout', 'reuse', 'deactivated', 'password')),
    CONSTRAINT sessions_ended_for_a_reason CHECK ((ended_at IS NULL) = (ended_reason IS NULL))
);
CREATE INDEX sessions_open_of_user ON sessions (user_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;

-- Only the SHA-256 of a token is kept: who reads this table can log in as nobody.
CREATE TABLE refresh_tokens (
    hash bytea CONSTRAINT refresh_tokens_pkey PRIMARY KEY,
    session_id text NOT NULL CONSTRAINT refresh_tokens_session_fkey REFERENCES sessions (id),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);

-- Customers as every branch knows them, by e-mail. Who may log in, and how, stays in `users`.
CREATE TABLE customers (
    email text PRIMARY KEY CONSTRAINT customers_email_lower_case CHECK (email = lower(email)),
    name text NOT NULL
);
INSERT INTO customers SELECT email, name FROM users WHERE role = 'customer';

-- Orders of other branches, as those said last.
CREATE TABLE branch_orders (
    id text PRIMARY KEY,
    branch text NOT NULL,
    epoch bigint NOT NULL,
    version bigint NOT NULL,
    status text NOT NULL,
    customer_email text NOT NULL REFERENCES customers (email),
    items jsonb NOT NULL,
    total_cents bigint NOT NULL,
    currency text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX branch_orders_of_branch ON branch_orders (branch, id);

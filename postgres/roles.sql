-- The roles and the database of one service: an owner who migrates, the service itself, and an
-- auditor who may only read. Run by psql as superuser; safe to repeat, which sets the passwords anew.
\set ON_ERROR_STOP on
\set QUIET on
\getenv database DATABASE
\getenv owner_password OWNER_PASSWORD
\getenv service_password SERVICE_PASSWORD
\getenv auditor_password AUDITOR_PASSWORD
-- The statements hold passwords.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;

SELECT :'database' || '_owner' AS owner, :'database' AS service \gset

SELECT format('%s ROLE %I LOGIN PASSWORD %L',
              CASE WHEN rolname IS NULL THEN 'CREATE' ELSE 'ALTER' END, wanted.name, wanted.password)
FROM (VALUES (:'owner', :'owner_password'), (:'service', :'service_password'),
             ('auditor', :'auditor_password')) AS wanted (name, password)
LEFT JOIN pg_roles ON rolname = wanted.name \gexec
GRANT pg_read_all_data, pg_monitor TO auditor;
ALTER ROLE auditor SET default_transaction_read_only = on;

SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'owner')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO :"service", auditor;
-- pg_rewind reads files through this database. Patroni makes its role after us, or completes it.
SELECT 'CREATE ROLE rewinder' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rewinder') \gexec
GRANT CONNECT ON DATABASE postgres TO rewinder;

\connect :"database"
-- Only the owner, who runs the migrations, makes or changes tables.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO :"owner";
GRANT USAGE ON SCHEMA public TO :"service", auditor;

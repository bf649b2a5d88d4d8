-- The gateway's users, their accounts, and the sessions of refresh tokens.
--
-- Passwords are argon2id hashes, refresh tokens SHA-256 digests: nothing here signs anybody in.
-- An account's id names it in the ledger; ids are never used again.
--
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

CREATE SCHEMA gateway;

CREATE TABLE gateway.users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username text NOT NULL CHECK (username ~ '^[A-Za-z0-9._-]{3,32}$'),
    password_hash text NOT NULL,
    role text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    failed_count int NOT NULL DEFAULT 0 CHECK (failed_count >= 0),
    locked_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Names differ by more than their case.
CREATE UNIQUE INDEX users_name ON gateway.users (lower(username));

CREATE TABLE gateway.accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES gateway.users (id),
    is_default boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX accounts_default ON gateway.accounts (user_id) WHERE is_default;
CREATE INDEX accounts_user ON gateway.accounts (user_id);

-- One row per log-in; its refresh tokens follow each other and die together.
CREATE TABLE gateway.sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES gateway.users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

CREATE INDEX sessions_user ON gateway.sessions (user_id);

CREATE TABLE gateway.refresh_tokens (
    hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    session_id bigint NOT NULL REFERENCES gateway.sessions (id) ON DELETE CASCADE,
    issued_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);

CREATE INDEX refresh_tokens_session ON gateway.refresh_tokens (session_id);

-- Exchanges a refresh token for a fresh one, once. No row when the token is unknown, expired or of
-- a session that has ended. A token that was used before ends its session: it was stolen, from
-- whom nobody can tell.
CREATE FUNCTION gateway.refresh(old_hash bytea, fresh_hash bytea, days bigint)
RETURNS TABLE (user_id bigint, account_id bigint, username text, role text)
LANGUAGE plpgsql AS $$
DECLARE
    token gateway.refresh_tokens%ROWTYPE;
    session gateway.sessions%ROWTYPE;
BEGIN
    SELECT * INTO token FROM gateway.refresh_tokens t WHERE t.hash = old_hash FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO session FROM gateway.sessions s WHERE s.id = token.session_id FOR UPDATE;
    IF session.revoked_at IS NOT NULL OR token.expires_at <= now() THEN
        RETURN;
    END IF;
    IF token.used_at IS NOT NULL THEN
        UPDATE gateway.sessions s SET revoked_at = now() WHERE s.id = session.id;
        RETURN;
    END IF;
    UPDATE gateway.refresh_tokens t SET used_at = now() WHERE t.hash = old_hash;
    INSERT INTO gateway.refresh_tokens (hash, session_id, expires_at)
    VALUES (fresh_hash, session.id, now() + days * interval '1 day');
    RETURN QUERY
        SELECT u.id, a.id, u.username, u.role
        FROM gateway.users u JOIN gateway.accounts a ON a.user_id = u.id AND a.is_default
        WHERE u.id = session.user_id;
END
$$;

COMMIT;

-- The log: facts only. Positions (notification_id) are handed out by the head, dense from 1.
CREATE TABLE stored_events (
    notification_id    INTEGER PRIMARY KEY,
    originator_id      TEXT    NOT NULL,
    originator_version INTEGER NOT NULL,
    topic              TEXT    NOT NULL,
    state              BLOB    NOT NULL,
    recorded_at        INTEGER NOT NULL, -- microseconds since 1970, UTC; never goes back
    source             TEXT    NOT NULL,
    id                 TEXT    NOT NULL,
    digest             BLOB    NOT NULL  -- of the content as sent: duplicate or conflict
) STRICT;
CREATE UNIQUE INDEX stored_events_stream ON stored_events (originator_id, originator_version);
CREATE UNIQUE INDEX stored_events_identity ON stored_events (id, source);

CREATE TRIGGER stored_events_are_immutable BEFORE UPDATE ON stored_events
BEGIN SELECT RAISE(ABORT, 'the log is append-only: facts are never changed'); END;
CREATE TRIGGER stored_events_are_kept BEFORE DELETE ON stored_events
BEGIN SELECT RAISE(ABORT, 'the log is append-only: facts are never removed'); END;

-- The writer lock, and the place where positions come from.
CREATE TABLE head (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    ledger_id   TEXT    NOT NULL,
    position    INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT;

-- How far each reader and each source has come; the library's own table.
CREATE TABLE tracking (
    application_name TEXT PRIMARY KEY,
    notification_id  INTEGER
) WITHOUT ROWID;

-- Where the facts stand that bear on other facts (rules, identity, voiding): few among many.
CREATE TABLE governing_facts (
    topic    TEXT    NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (topic, position)
) STRICT, WITHOUT ROWID;

-- Which subjects an address or number was seen with: keyed tokens, never the values.
CREATE TABLE search_tokens (
    token   TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (token, subject)
) STRICT, WITHOUT ROWID;

-- What could not be recorded, whole and encrypted, with the reason.
CREATE TABLE quarantine (
    entry       INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint BLOB    NOT NULL UNIQUE,
    door        TEXT    NOT NULL,
    context     TEXT    NOT NULL, -- JSON: where at that door (file, line, partition, offset ...)
    reason      TEXT    NOT NULL,
    path        TEXT    NOT NULL,
    message     TEXT    NOT NULL,
    size        INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    times       INTEGER NOT NULL DEFAULT 1,
    status      TEXT    NOT NULL DEFAULT 'waiting', -- waiting, recorded, discarded
    settled_at  INTEGER,
    note        TEXT
) STRICT;
CREATE TABLE quarantine_parts (
    entry  INTEGER NOT NULL,
    number INTEGER NOT NULL,
    bytes  BLOB    NOT NULL,
    PRIMARY KEY (entry, number)
) STRICT;

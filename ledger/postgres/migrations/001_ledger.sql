-- The log: facts only. Positions (notification_id) are handed out by the head, dense from 1.
CREATE TABLE stored_events (
    notification_id    bigint PRIMARY KEY,
    originator_id      uuid   NOT NULL,
    originator_version bigint NOT NULL,
    topic              text   COLLATE "C" NOT NULL,
    state              bytea  NOT NULL,
    recorded_at        bigint NOT NULL, -- microseconds since 1970, UTC; never goes back
    source             text   COLLATE "C" NOT NULL,
    id                 text   COLLATE "C" NOT NULL,
    digest             bytea  NOT NULL, -- of the content as sent: duplicate or conflict
    CONSTRAINT stored_events_stream UNIQUE (originator_id, originator_version),
    CONSTRAINT stored_events_identity UNIQUE (id, source)
) WITH (
    -- Vacuum soon marks what is appended as visible to all: then the version of a stream is read
    -- from its index alone.
    autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_vacuum_insert_scale_factor = 0.02
);

CREATE FUNCTION refuse_to_change_the_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: facts are never changed or removed';
END $$;
CREATE TRIGGER stored_events_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON stored_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_log();

-- The writer lock, and the place where positions come from.
CREATE TABLE head (
    one         integer PRIMARY KEY CHECK (one = 1),
    ledger_id   text    NOT NULL,
    position    bigint  NOT NULL,
    recorded_at bigint  NOT NULL
) WITH (fillfactor = 10);

CREATE FUNCTION refuse_to_go_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the head of the log never goes back';
END $$;
CREATE TRIGGER head_goes_forward BEFORE UPDATE ON head FOR EACH ROW
    WHEN (NEW.position < OLD.position OR NEW.recorded_at < OLD.recorded_at
          OR NEW.ledger_id <> OLD.ledger_id)
    EXECUTE FUNCTION refuse_to_go_back();
CREATE TRIGGER head_is_kept BEFORE DELETE OR TRUNCATE ON head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_go_back();

-- How far each reader and each source has come; the library's own table.
CREATE TABLE tracking (
    application_name text COLLATE "C" PRIMARY KEY,
    notification_id  bigint
) WITH (fillfactor = 50);

-- Where the facts stand that bear on other facts (rules, identity, voiding): few among many.
CREATE TABLE governing_facts (
    topic    text   COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (topic, position)
);

-- Which subjects an address or number was seen with: keyed tokens, never the values.
CREATE TABLE search_tokens (
    token   text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    PRIMARY KEY (token, subject)
);

-- What could not be recorded, whole and encrypted, with the reason.
CREATE TABLE quarantine (
    entry       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint bytea  NOT NULL UNIQUE,
    door        text   NOT NULL,
    context     text   NOT NULL, -- JSON: where at that door (file, line, partition, offset ...)
    reason      text   NOT NULL,
    path        text   NOT NULL,
    message     text   NOT NULL,
    size        bigint NOT NULL,
    received_at bigint NOT NULL,
    times       bigint NOT NULL DEFAULT 1,
    status      text   COLLATE "C" NOT NULL DEFAULT 'waiting', -- waiting, recorded, discarded
    settled_at  bigint,
    note        text
);
CREATE TABLE quarantine_parts (
    entry  bigint NOT NULL,
    number bigint NOT NULL,
    bytes  bytea  NOT NULL,
    PRIMARY KEY (entry, number)
);

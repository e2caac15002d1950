-- The index of streams: which touchpoints are of one stream. It says nothing that stored_events
-- does not say, and is written with it (see ledger/sqlite/streams.py).
--
-- Streams that share a prefix share a chain: stream_ends has the last position of each chain, and
-- stream_links the one before each position, 0 before the first.
CREATE TABLE stream_ends (
    prefix   INTEGER PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT;
CREATE TABLE stream_links (
    position INTEGER PRIMARY KEY,
    previous INTEGER NOT NULL CHECK (previous < position) -- so that a chain comes to an end
) STRICT;

INSERT INTO stream_ends
SELECT stream_prefix(originator_id), MAX(notification_id) FROM stored_events GROUP BY 1 ORDER BY 1;
INSERT INTO stream_links
SELECT notification_id, LAG(notification_id, 1, 0) OVER (
    PARTITION BY stream_prefix(originator_id) ORDER BY notification_id
) FROM stored_events ORDER BY notification_id;

DROP INDEX stored_events_stream;

-- The tables that views are served from: disposable, rebuilt from the log at any time.
CREATE TABLE generations (
    view       TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    version    INTEGER NOT NULL, -- of the view's code that built it
    state      TEXT    NOT NULL, -- building, live, retired
    until      INTEGER NOT NULL, -- the position up to which a rebuild reads
    ranges     INTEGER NOT NULL, -- into how many ranges of streams it cuts the log
    latest_at  INTEGER NOT NULL, -- the latest occurrence folded
    started_at INTEGER NOT NULL,
    built_at   INTEGER,
    PRIMARY KEY (view, generation)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX generations_live ON generations (view) WHERE state = 'live';

-- Which ranges of streams an interrupted rebuild has behind it.
CREATE TABLE rebuilt_ranges (
    view       TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    PRIMARY KEY (view, generation, number)
) STRICT, WITHOUT ROWID;

-- Keys on whose touchpoints a fold failed: they wait, everything else goes on.
CREATE TABLE parked (
    view       TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    key        TEXT    NOT NULL,
    streams    TEXT    NOT NULL,
    position   INTEGER NOT NULL,
    error      TEXT    NOT NULL,
    parked_at  INTEGER NOT NULL,
    PRIMARY KEY (view, generation, key)
) STRICT, WITHOUT ROWID;

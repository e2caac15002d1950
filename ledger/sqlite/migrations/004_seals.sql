-- The hash of each position's leaf, packed: 32 bytes each from the position `first` on. A row never
-- reaches over a multiple of 1024 positions.
CREATE TABLE leaf_hashes (
    first  INTEGER PRIMARY KEY,
    hashes BLOB    NOT NULL
) STRICT;

-- The signed heads of the tree over these leaves.
CREATE TABLE seals (
    number    INTEGER PRIMARY KEY,
    size      INTEGER NOT NULL,
    root      BLOB    NOT NULL,
    roots     BLOB    NOT NULL, -- of its full subtrees, packed: the next seal goes on from them
    sealed_at INTEGER NOT NULL,
    key_id    TEXT    NOT NULL,
    signature BLOB    NOT NULL
) STRICT;

CREATE TRIGGER leaf_hashes_are_immutable BEFORE UPDATE ON leaf_hashes
BEGIN SELECT RAISE(ABORT, 'seals are append-only: they are never changed'); END;
CREATE TRIGGER leaf_hashes_are_kept BEFORE DELETE ON leaf_hashes
BEGIN SELECT RAISE(ABORT, 'seals are append-only: they are never removed'); END;
CREATE TRIGGER seals_are_immutable BEFORE UPDATE ON seals
BEGIN SELECT RAISE(ABORT, 'seals are append-only: they are never changed'); END;
CREATE TRIGGER seals_are_kept BEFORE DELETE ON seals
BEGIN SELECT RAISE(ABORT, 'seals are append-only: they are never removed'); END;

-- How refreshes went at each provider, hour by hour: each process adds what it counted in memory every few seconds.
-- `hour` is when the hour begins, in microseconds since 1970-01-01T00:00:00Z; `held`: refreshes were held back in it.
CREATE TABLE refresh_hours (
    hour     INTEGER NOT NULL,
    provider TEXT    NOT NULL,
    done     INTEGER NOT NULL,
    failed   INTEGER NOT NULL,
    held     INTEGER NOT NULL,
    PRIMARY KEY (hour, provider)
);

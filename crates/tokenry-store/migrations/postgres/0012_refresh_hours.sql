-- How refreshes went at each provider, hour by hour: each process adds what it counted in memory every few seconds.
-- `hour` is when the hour begins, in microseconds since 1970-01-01T00:00:00Z; `held`: refreshes were held back in it.
CREATE TABLE refresh_hours (
    hour     BIGINT NOT NULL,
    provider TEXT   NOT NULL,
    done     BIGINT NOT NULL,
    failed   BIGINT NOT NULL,
    held     BIGINT NOT NULL,
    PRIMARY KEY (hour, provider)
);

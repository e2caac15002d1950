# Touchstone as an image: `docker build -t touchstone .`, then `docker run touchstone --help`.

FROM python:3.13-slim AS build
WORKDIR /build
COPY . .
RUN python -m venv --without-pip /app
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /app/bin/python install --constraint constraints.txt '.[confluent-kafka]'

FROM python:3.13-slim
LABEL org.opencontainers.image.title="touchstone" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH="/app/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# The folder of keys belongs to the user, so that a volume that is mounted there does as well.
RUN groupadd --gid 10001 touchstone \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/touchstone \
       --shell /usr/sbin/nologin touchstone \
    && install --directory --owner touchstone --group touchstone --mode 0700 \
       /var/lib/touchstone /var/lib/touchstone/keys
COPY --from=build /app /app
WORKDIR /var/lib/touchstone
USER 10001:10001
ENTRYPOINT ["touchstone"]
CMD ["--help"]

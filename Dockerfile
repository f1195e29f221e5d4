# One image for every process: `serve` (what it starts by itself), `ingest`, `migrate`, `produce`, `doctor`.
#
#   docker build --tag nebuloviz .
#
# It holds Debian's Python, the wheels of requirements.txt and PostgreSQL's client programs: no compiler, no pip, nothing that its user can write to but
# /data and /tmp, so it runs with a read-only root file system. docs/operations.md says how it is run.
ARG DEBIAN=debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f

FROM ${DEBIAN} AS base
# The upgrade brings what Debian has mended since the base was made
RUN apt-get update \
    && apt-get upgrade --yes \
    && apt-get install --yes --no-install-recommends ca-certificates libpq5 python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
    && groupadd --gid 10001 nebuloviz \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --no-log-init --shell /usr/sbin/nologin nebuloviz \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data

FROM base AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/nebuloviz
COPY requirements.txt ./
# Wheels only: what would have to be compiled stops the build. The packages' own tests are 60 MB that nobody runs here.
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --quiet --no-compile --only-binary=:all: --requirement requirements.txt \
    && /opt/venv/bin/pip uninstall --quiet --yes pip \
    && find /opt/venv -depth -type d -name tests -exec rm -r {} +
COPY app.py ./
COPY assets ./assets
COPY migrations ./migrations
COPY nebuloviz ./nebuloviz
COPY pages ./pages
COPY translations ./translations
RUN /opt/venv/bin/python -m compileall -q -j 0 /opt/venv/lib /opt/nebuloviz

FROM base
# pg_dump and what else `backup` and `restore` call, without the Perl that their packages ask for
COPY --from=build /usr/lib/postgresql /usr/lib/postgresql
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/nebuloviz /opt/nebuloviz
ENV PATH=/opt/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/nebuloviz \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NEBULOVIZ_HOST=0.0.0.0 \
    NEBULOVIZ_DATA_DIR=/data
WORKDIR /data
USER 10001:10001
EXPOSE 8050
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "nebuloviz", "probe"]
ENTRYPOINT ["python", "-m", "nebuloviz"]
CMD ["serve"]

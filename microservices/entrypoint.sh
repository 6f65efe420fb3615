#!/bin/sh
# What a service's container runs: `serve`, `worker`, or a command of the service's own, such as
# `migrate`.
set -eu

# The host name is the container's id: every instance of a scaled service has its own.
export INSTANCE="${INSTANCE:-$SERVICE-$(hostname)}"

# Where several processes count, they share a folder, and one of them shows what all have counted.
if [ "$1" = worker ] || { [ "$1" = serve ] && [ "${WORKERS:-1}" -gt 1 ]; }; then
    export PROMETHEUS_MULTIPROC_DIR=/tmp/metrics
    rm -rf "$PROMETHEUS_MULTIPROC_DIR"
    mkdir "$PROMETHEUS_MULTIPROC_DIR"
fi
if [ "$1" = serve ]; then
    exec python -m gunicorn -c /app/gunicorn.conf.py "$SERVICE.app:create_app()"
fi
if [ "$1" = worker ]; then
    shift
    exec python -m "$SERVICE.worker" "$@"
fi
exec python -m flask --app "$SERVICE.app" "$@"

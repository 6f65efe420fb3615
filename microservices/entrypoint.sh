#!/bin/sh
# What a service's container runs: `serve`, `worker`, or a command of the service's own, such as
# `migrate`.
set -eu

# The host name is the container's id: every instance of a scaled service has its own.
export INSTANCE="${INSTANCE:-$SERVICE-$(hostname)}"

if [ "$1" = serve ]; then
    if [ "${WORKERS:-1}" -gt 1 ]; then
        export PROMETHEUS_MULTIPROC_DIR=/tmp/metrics
        mkdir -p "$PROMETHEUS_MULTIPROC_DIR"
    fi
    exec python -m gunicorn -c /app/gunicorn.conf.py "$SERVICE.app:create_app()"
fi
if [ "$1" = worker ]; then
    exec python -m "$SERVICE.worker"
fi
exec python -m flask --app "$SERVICE.app" "$@"

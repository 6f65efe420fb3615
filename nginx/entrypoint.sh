#!/bin/sh
# Renders the gateway's configuration from the environment and becomes nginx.
set -eu
umask 077
mkdir -p "$TEMP_DIR" "$CACHE_DIR"
render /etc/feira/nginx.conf.template >/run/gateway/nginx.conf
exec nginx -p /run/gateway/ -c /run/gateway/nginx.conf -e stderr

# etcd from Debian's packages, which gets their security updates; the context is not used.
ARG DEBIAN_IMAGE=debian:bookworm-slim
FROM ${DEBIAN_IMAGE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends etcd-server etcd-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10002 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin feira \
    && install -d -o 10002 -g 10002 -m 0700 /var/lib/feira/etcd
ENV ETCDCTL_API=3
USER 10002:10002
CMD ["etcd"]

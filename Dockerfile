# shared-lock in a container, with the storage that it is built for: memory, embedded or etcd.
#   docker build --build-arg LOCKER=embedded -t shared-lock .
# The setting SHARED_LOCK_STORAGE_TYPE of a container still decides. deployment/Dockerfile is the same file.
FROM debian:12-slim AS build
WORKDIR /src
COPY script/packages script/packages
RUN apt-get update \
 && sed 's/#.*//' script/packages \
  | DEBIAN_FRONTEND=noninteractive xargs apt-get install --yes --no-install-recommends
COPY . .
RUN cmake --preset release -DSHAREDLOCK_TESTS=OFF \
 && cmake --build --preset release --target shared-lock \
 && strip --strip-debug build/release/shared-lock

FROM debian:12-slim
ARG LOCKER=etcd
RUN case "$LOCKER" in memory|embedded|etcd) ;; *) echo "LOCKER is memory, embedded or etcd" >&2; exit 1 ;; esac
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      ca-certificates libboost-json1.81.0 libboost-url1.81.0 libgrpc++1.51 libprometheus-cpp-core1.0 libprotobuf32 \
      librocksdb7.8 libspdlog1.10 libssl3 \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o nobody -g nogroup -m 700 /var/lib/shared-lock
COPY --from=build /src/build/release/shared-lock /usr/bin/shared-lock
ENV SHARED_LOCK_STORAGE_TYPE=$LOCKER SHARED_LOCK_DATA_DIR=/var/lib/shared-lock
USER nobody
EXPOSE 8080
VOLUME /var/lib/shared-lock
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/usr/bin/shared-lock", "health"]
ENTRYPOINT ["/usr/bin/shared-lock"]
CMD ["serve"]

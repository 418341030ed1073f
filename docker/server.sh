#!/bin/sh
# A PostgreSQL server in a container: a primary, or with PRIMARY_HOST a streaming replica of that one.
# It needs PostgreSQL's own programs and a POSIX shell, so any image with PostgreSQL in it will do.
#
#   server.sh [options of postgres]   sets the server up where there is no data yet, and runs it
#   server.sh health                  tells whether it answers
#
# Environment: PGDATA, PGPORT, REPLICATION_PASSWORD
#   primary: APP_USER, APP_PASSWORD, APP_DATABASES (separated by spaces)
#   replica: PRIMARY_HOST, PRIMARY_PORT, NAME (what the primary calls it; its slot is segregato_NAME)
set -eu

: "${PGDATA:=/var/lib/postgresql/segregato}" "${PGPORT:=5432}" "${PRIMARY_PORT:=5432}"
export PGDATA PGPORT PGCONNECT_TIMEOUT=3
REPLICATION_USER=replicator
SLOT=segregato_${NAME:-}

say() { echo "server.sh: $*" >&2; }
die() { say "$*"; exit 1; }

# ------------------------------------------------------------------------ programs and user

programs() {
  command -v postgres >/dev/null && { dirname "$(command -v postgres)"; return; }
  found=
  for bin in /usr/local/pgsql/bin /opt/*/postgresql/bin /usr/libexec/postgresql*/ \
    /usr/pgsql-*/bin /usr/lib/postgresql/*/bin; do
    [ -x "$bin/postgres" ] && found=$bin
  done
  [ -n "$found" ] || die "this image has no program 'postgres' in its PATH or the usual places"
  echo "$found"
}
PATH=$(programs):$PATH

[ "${1:-}" != health ] || exec pg_isready -q -h 127.0.0.1 -p "$PGPORT"

# PostgreSQL refuses to run as root.
if [ "$(id -u)" = 0 ]; then
  user=postgres
  id "$user" >/dev/null 2>&1 || user=nobody
  mkdir -p "$(dirname "$PGDATA")" /var/run/postgresql
  chown "$user" "$(dirname "$PGDATA")" /var/run/postgresql
  uid=$(id -u "$user") gid=$(id -g "$user")
  if setpriv --reuid="$uid" --regid="$gid" --clear-groups true 2>/dev/null; then
    exec setpriv --reuid="$uid" --regid="$gid" --clear-groups /bin/sh "$0" "$@"
  fi
  # shellcheck disable=SC2016  # expanded by the shell of the other user
  exec su -s /bin/sh -c 'exec /bin/sh "$0" "$@"' "$user" -- "$0" "$@"
fi
[ -w "$(dirname "$PGDATA")" ] || die "$(dirname "$PGDATA") cannot be written by user $(id -u)"

# ------------------------------------------------------------------------ primary

literal() { printf "'%s'" "$(printf %s "$1" | sed "s/'/''/g")"; }
identifier() { printf '"%s"' "$(printf %s "$1" | sed 's/"/""/g')"; }

# The single-user mode reads a statement up to a semicolon and an empty line.
roles_and_databases() {
  printf 'CREATE ROLE %s REPLICATION LOGIN PASSWORD %s;\n\n' \
    "$REPLICATION_USER" "$(literal "$REPLICATION_PASSWORD")"
  printf 'CREATE ROLE %s LOGIN PASSWORD %s;\n\n' \
    "$(identifier "$APP_USER")" "$(literal "$APP_PASSWORD")"
  for database in $APP_DATABASES; do
    printf 'CREATE DATABASE %s OWNER %s;\n\n' "$(identifier "$database")" "$(identifier "$APP_USER")"
  done
}

# Made aside and moved in place when it is complete: a container may be killed at any moment.
initialise() {
  say "setting up a primary in $PGDATA"
  rm -rf "$PGDATA.new"
  initdb -D "$PGDATA.new" -U postgres -E UTF8 --locale=C.UTF-8 --data-checksums \
    --auth-local=trust --auth-host=scram-sha-256 >/dev/null
  cat >"$PGDATA.new/pg_hba.conf" <<HBA
# Inside the container only: its Unix socket.
local all         all               trust
local replication all               trust
host  replication $REPLICATION_USER all scram-sha-256
host  all         all               all scram-sha-256
HBA
  cat >>"$PGDATA.new/postgresql.conf" <<CONF

# Set by server.sh
listen_addresses = '*'
password_encryption = scram-sha-256
wal_level = replica
hot_standby = on
max_wal_senders = 10
max_replication_slots = 10
# Two replicas that are copied at the same moment need each other's log.
wal_keep_size = 128MB
# A replica that is away for longer than this is copied again, rather than the disk filled.
max_slot_wal_keep_size = 1GB
# A lost neighbour is noticed after 10 s, not 60.
wal_sender_timeout = 10s
wal_receiver_timeout = 10s
wal_retrieve_retry_interval = 1s
CONF
  roles_and_databases |
    postgres --single -j -D "$PGDATA.new" -c exit_on_error=on -c log_min_error_statement=panic \
      postgres >/dev/null
  mv "$PGDATA.new" "$PGDATA"
}

# ------------------------------------------------------------------------ replica

# The primary that this replica follows. After a promotion elsewhere it may have been given another.
# A replica that connects knows no limit but the kernel's, over two minutes (it does not read
# connect_timeout): one attempt in the moment in which a network comes back could take all of that.
primary() {
  if [ -f "$PGDATA/standby.signal" ]; then
    postgres -C primary_conninfo
  else
    echo "host=$PRIMARY_HOST port=$PRIMARY_PORT user=$REPLICATION_USER application_name=$NAME" \
      "tcp_user_timeout=10000"
  fi
}

ask() { PGPASSWORD=$REPLICATION_PASSWORD psql -XAtq -v ON_ERROR_STOP=1 -d "$1 dbname=postgres" -c "$2"; }

# Why this copy can never follow its primary again; fails when it can, or when nobody can tell.
lost() {
  answer=$(ask "$(primary)" "SELECT system_identifier, pg_is_in_recovery(), coalesce((
    SELECT wal_status FROM pg_replication_slots WHERE slot_name = '$SLOT'), 'missing')
    FROM pg_control_system()" 2>/dev/null) || return 1
  case $answer in
    "$(pg_controldata | sed -n 's/^Database system identifier: *//p')|"*) ;;
    *) echo "its primary is another database than the one it is a copy of"; return ;;
  esac
  case $answer in
    *'|f|lost') echo "the primary has removed log that it still needed (max_slot_wal_keep_size)" ;;
    *'|f|missing') echo "the primary has no slot '$SLOT' for it" ;;
    *) return 1 ;;
  esac
}

# A slot that a failed attempt has left behind would block the next one.
reserve() {
  ask "$1" "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
      WHERE slot_name = '$SLOT'" >/dev/null &&
    ask "$1" "SELECT pg_create_physical_replication_slot('$SLOT', true)" >/dev/null
}

copy() {
  from=$(primary)
  say "copying the primary"
  until
    rm -rf "$PGDATA.new"
    reserve "$from" && PGPASSWORD=$REPLICATION_PASSWORD pg_basebackup -d "$from" -D "$PGDATA.new" \
      --wal-method=stream --slot="$SLOT" --checkpoint=fast --write-recovery-conf
  do
    say "the primary cannot be copied yet; next attempt in 1 s"
    sleep 1
  done
  rm -rf "$PGDATA"
  mv "$PGDATA.new" "$PGDATA"
}

# Ends the server when it can never follow again: the container restarts, and copies the primary.
watch() {
  while sleep 5; do
    [ -f "$PGDATA/standby.signal" ] || continue
    receiving=$(psql -XAtq -U postgres -d postgres \
      -c "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'" 2>/dev/null) || continue
    [ "$receiving" = 0 ] || continue
    reason=$(lost) || continue
    say "$reason: restarting, to copy the primary again"
    kill -INT "$1"
    return
  done
}

# ------------------------------------------------------------------------ start

if [ -z "${PRIMARY_HOST:-}" ]; then
  [ -f "$PGDATA/PG_VERSION" ] || initialise
elif [ ! -f "$PGDATA/PG_VERSION" ]; then
  copy
elif [ ! -f "$PGDATA/standby.signal" ]; then
  say "this replica has been promoted: starting it as what it is, a primary"
elif reason=$(lost); then
  say "$reason"
  copy
fi
[ -z "${PRIMARY_HOST:-}" ] || watch $$ &
exec postgres -D "$PGDATA" -p "$PGPORT" "$@"

#!/bin/sh
# Copies the aggregator's store and the signed repository to an object store, again and again; deletes the oldest copies.
#
#   backup.sh            now, and then every HEARTHWATCH_BACKUP_HOURS
#   backup.sh once       now
#   backup.sh healthy    exit code 0 where the newest copy is younger than two intervals
#
# HEARTHWATCH_BACKUP_TARGET   REMOTE:PATH of rclone; the remote is in the file that RCLONE_CONFIG names
# HEARTHWATCH_BACKUP_KEEP     number of copies that stay
#
# A copy is hearthwatch-TIME.tar.gz: store/ (the database, copied by sqlite3 while it is in use and checked; snapshots, runs, models) and
# repository/. The fleet's keys are in neither folder, and are not in this container at all.
set -eu
umask 077

say() { echo "backup: $*" >&2; }
number() {
    case $2 in
        '' | *[!0-9]* | 0*) say "$1 must be a whole number of at least 1, and is \"$2\"; change it in .env" && exit 78 ;;
    esac
}

target=${HEARTHWATCH_BACKUP_TARGET:-} keep=${HEARTHWATCH_BACKUP_KEEP:-14} hours=${HEARTHWATCH_BACKUP_HOURS:-24}
store=${HEARTHWATCH_BACKUP_STORE:-/data/store} repository=${HEARTHWATCH_BACKUP_REPOSITORY:-/data/repository} work=${HEARTHWATCH_BACKUP_WORK:-/work}
pattern='hearthwatch-????????T??????Z.tar.gz'
number HEARTHWATCH_BACKUP_KEEP "$keep"
number HEARTHWATCH_BACKUP_HOURS "$hours"

# The database as it was at one moment. Without its -wal nobody has it open, and a folder that is read-only must not be asked for one.
copy_database() {
    database=$store/aggregator.db
    [ -f "$database" ] || { say "$database does not exist: the aggregator has not run yet"; return 1; }
    mode='mode=ro'
    [ -e "$database-wal" ] || mode='immutable=1'
    sqlite3 "file:$database?$mode" ".timeout 60000" ".backup '$work/store/aggregator.db'" || return 1
    checked=$(sqlite3 "$work/store/aggregator.db" 'PRAGMA integrity_check') || return 1
    [ "$checked" = ok ] || { say "the copy of the database is damaged: $checked"; return 1; }
}

once() {
    name=hearthwatch-$(date -u +%Y%m%dT%H%M%SZ).tar.gz
    rm -rf "$work/store" "$work/repository" "$work"/hearthwatch-*.tar.gz
    mkdir "$work/store"
    copy_database || return 1
    (cd "$store" && tar -cf - --exclude='./aggregator.db*' --exclude='./.*' .) | tar -xf - -C "$work/store" || return 1
    cp -R "$repository" "$work/repository" || return 1
    (cd "$work" && tar -czf "$name" store repository) || return 1
    rclone copyto "$work/$name" "$target/$name" || { say "rclone could not send $name to $target; see the lines above and secrets/rclone.conf"; return 1; }
    say "sent $name, $(wc -c <"$work/$name") bytes"
    rm -rf "$work/store" "$work/repository" "${work:?}/$name"
    # Names are times, so their order is that of age. Nothing but our own names is deleted.
    rclone lsf --files-only --include "$pattern" "$target" | sort -r | tail -n "+$((keep + 1))" | while read -r old; do
        rclone deletefile "$target/$old" && say "deleted $old: $keep are kept"
    done || return 1
    date +%s >"$work/last"
}

case ${1:-} in
    healthy)
        [ -r "$work/last" ] || { say "no copy yet"; exit 1; }
        age=$(($(date +%s) - $(cat "$work/last")))
        [ "$age" -le $((2 * hours * 3600)) ] || { say "the newest copy is $age seconds old"; exit 1; }
        ;;
    once | '')
        case $target in
            *:*) ;;
            *) say "HEARTHWATCH_BACKUP_TARGET must be REMOTE:PATH, and is \"$target\"; change it in .env" && exit 78 ;;
        esac
        [ "${1:-}" != once ] || { once; exit; }
        while :; do
            # A copy that failed is tried again in ten minutes.
            if once; then pause=$((hours * 3600)); else pause=600; fi
            sleep "$pause" &
            trap 'exit 0' TERM INT
            wait $!
        done
        ;;
    *) say "unknown word \"$1\"; once, healthy or nothing" && exit 64 ;;
esac

#!/bin/sh
# Makes the secrets of deploy/compose.yaml below deploy/secrets; those that are there already stay as they are.
# The files can be read by whoever gets at the folder, which is its owner alone: containers read them as users of their own.
set -eu
umask 022
folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)/secrets
mkdir -p "$folder"
chmod 700 "$folder"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
# keep NAME VALUE: writes it, without a newline, unless it is there.
keep() { [ -s "$folder/$1" ] || printf '%s' "$2" >"$folder/$1"; }

keep database_password "$(random)"
keep database_url "postgresql://nebuloviz:$(cat "$folder/database_password")@db:5432/nebuloviz"
keep secret_key "$(random)$(random)"
keep admin_password "$(random)"
keep grafana_password "$(random)"
printf 'The secrets are in %s. The first password of the user admin: cat %s/admin_password\n' "$folder" "$folder"

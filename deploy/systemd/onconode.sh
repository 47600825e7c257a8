#!/bin/sh
# /usr/local/bin/onconode: the command as the node's user, with the node's configuration.
set -eu
export ONCONODE_CONFIG=/etc/onconode
export ONCONODE_DATA_DIR=/var/lib/onconode
export ONCONODE_MODELS_DIR=/opt/onconode/models
if [ -r /etc/onconode/environment ]; then
  set -a
  . /etc/onconode/environment
  set +a
fi
export HOME=/var/lib/onconode
# A restore also writes models, which belong to root; what it writes gets the owner of its folder.
if [ "$(id -un)" = onconode ] || [ "${1:-}" = restore ]; then
  exec /opt/onconode/.venv/bin/onconode "$@"
fi
exec runuser --user onconode -- /opt/onconode/.venv/bin/onconode "$@"

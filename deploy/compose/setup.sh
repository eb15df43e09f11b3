#!/usr/bin/env bash
# Makes the certificates of the stack once, and tells Elasticsearch Kibana's password. Runs in
# Elasticsearch's own image; passwords come from files and go by standard input, never by a command
# line.
set -euo pipefail
cd /usr/share/elasticsearch
certs=config/certs

if [ ! -f $certs/ca.zip ]; then
  bin/elasticsearch-certutil ca --silent --pem -out $certs/ca.zip
  unzip -q $certs/ca.zip -d $certs
fi
if [ ! -f $certs/certs.zip ]; then
  cat > $certs/instances.yml <<'INSTANCES'
instances:
  - name: es01
    dns: [es01, localhost]
    ip: [127.0.0.1]
INSTANCES
  bin/elasticsearch-certutil cert --silent --pem -out $certs/certs.zip --in $certs/instances.yml \
    --ca-cert $certs/ca/ca.crt --ca-key $certs/ca/ca.key
  unzip -q $certs/certs.zip -d $certs
fi
# Folders 755 and the authority's certificate 644: Weir reads it as a user of its own. Keys stay
# with root and the group of Elasticsearch.
chown -R root:root $certs
find $certs -type d -exec chmod 755 {} +
find $certs -type f -exec chmod 640 {} +
chmod 644 $certs/ca/ca.crt

until curl -s --cacert $certs/ca/ca.crt https://es01:9200 | grep -q 'missing authentication credentials'; do
  sleep 5
done
password=$(cat /run/secrets/kibana_password)
until {
  printf 'user = "elastic:%s"\n' "$(cat /run/secrets/elastic_password)"
  printf 'data = "{\\"password\\":\\"%s\\"}"\n' "$password"
} | curl -s -K - -X POST --cacert $certs/ca/ca.crt -H 'Content-Type: application/json' \
  https://es01:9200/_security/user/kibana_system/_password | grep -q '^{}'; do
  sleep 5
done
echo 'certificates and passwords are in place'

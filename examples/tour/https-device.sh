#!/bin/sh
# The HTTPS device of the tour: curl and openssl.
# usage: https-device.sh READY_FILE DEVICE_ID SECRET
set -eu
ready=$1 device=$2 secret=$3
field() { python3 -c "import json,sys; d=json.load(open(sys.argv[1]))
for k in sys.argv[2].split('.'): d=d[k]
print(d)" "$ready" "$1"; }
url=https://$(field addresses.device_https)
ca=$(field ca_cert)

hour=$(date -u +%Y%m%d%H)
password=$(printf %s "$secret" | openssl dgst -sha256 -hmac "$hour" | sed 's/.*= *//')
token=$(curl -sS --fail-with-body --cacert "$ca" "$url/v5/device-auth" -H 'Content-Type: application/json' \
  -d "{\"device_id\":\"$device\",\"sign_type\":1,\"timestamp\":\"$hour\",\"password\":\"$password\"}" |
  python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')
curl -sS --fail-with-body --cacert "$ca" "$url/v5/devices/$device/sys/properties/report" -H "access_token: $token" \
  -H 'Content-Type: application/json' -w 'the platform answered %{http_code}\n' \
  -d '{"services":[{"service_id":"Lamp","properties":{"brightness":30,"temperature":19.25}}]}'

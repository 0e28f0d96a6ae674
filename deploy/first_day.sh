#!/bin/sh
# A first day at a till against a sandbox that runs (make up): key, merchant, store, till, cashier, shift, sale, refund, Z.
#
#   sh deploy/first_day.sh RUNTIME_FILE     the file that `kopeyka up` names when it is ready
#
# Needs curl and python3. Every POST has an idempotency key of this run, so a line may be repeated without harm.
set -eu
RUNTIME=$1
RUN=$(date +%s)
field() {
  python3 -c 'import functools, json, sys
print(functools.reduce(lambda found, name: found[int(name) if name.isdigit() else name], sys.argv[1].split("."),
                       json.load(sys.stdin)))' "$1"
}
API=$(field urls.api < "$RUNTIME")
BUYERS=$(field urls.simulators < "$RUNTIME")
KEY=$(field sandbox_key < "$RUNTIME")
get() { curl -fsS "$API$1" -H "Authorization: Bearer $KEY"; }
post() {
  curl -fsS "$API$1" -H "Authorization: Bearer $KEY" -H "Idempotency-Key: first-day-$RUN-$3" \
    -H "Content-Type: application/json" -d "$2"
}
until_status() { # path, status
  for _ in $(seq 60); do
    [ "$(get "$1" | field status)" = "$2" ] && return
    sleep 1
  done
  echo "$1 is not $2 after a minute" >&2
  exit 1
}

echo "1. A merchant, its store and till, from a list as merchants keep it"
MERCHANT=$(post /v1/merchants '{"name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893",
  "tariff_group": "everyday", "bank_account": {"bik": "044525225", "number": "40702810838000000101"}}' merchant | field id)
printf 'Номер;Название;Адрес;Регион;Касс\n0117;На Тверской;Москва, Тверская, 1;msk;1\n' |
  curl -fsS "$API/v1/premises/store-lists?merchant_id=$MERCHANT" -H "Authorization: Bearer $KEY" \
    -H "Idempotency-Key: first-day-$RUN-stores" -H "Content-Type: text/csv" --data-binary @-
echo
TERMINAL=$(get "/v1/premises/terminals?merchant_id=$MERCHANT" | field items.0.terminal_id)

echo "2. What holds at the till: settings, and the rails that are on"
post /v1/premises/settings '{"merchant_id": "'"$MERCHANT"'", "level": "region", "place": "msk", "name": "slip_columns",
  "value": 42}' setting > /dev/null
get "/v1/terminals/$TERMINAL/premises"
echo

echo "3. A cashier opens the shift"
CASHIER=$(post /v1/cashiers '{"merchant_id": "'"$MERCHANT"'", "number": "1", "name": "Иванова А. П."}' cashier | field id)
SHIFT=$(post /v1/shifts '{"terminal_id": "'"$TERMINAL"'", "cashier_id": "'"$CASHIER"'"}' shift | field id)

echo "4. A sale of 1499.90 roubles; the buyer scans the QR and confirms"
ORDER=$(post /v1/orders '{"terminal_id": "'"$TERMINAL"'", "number": "A-'"$RUN"'", "amount_kopecks": 149990}' order | field id)
QR=$(post "/v1/orders/$ORDER/attempts" '{"rail": "sbp"}' attempt | field qr.qrc_id)
curl -fsS "$BUYERS/simulator/payers/pay" -H "Content-Type: application/json" -d '{"qrc_id": "'"$QR"'"}' > /dev/null
until_status "/v1/orders/$ORDER" paid

echo "5. A refund of 499.90 roubles"
REFUND=$(post /v1/refunds '{"order_id": "'"$ORDER"'", "amount_kopecks": 49990}' refund | field id)
until_status "/v1/refunds/$REFUND" succeeded

echo "6. X, then Z: the till counted the same"
get "/v1/shifts/$SHIFT/report?format=text"
post "/v1/shifts/$SHIFT/close" '{"cashier_id": "'"$CASHIER"'", "till_totals": [
  {"rail": "sbp", "kind": "sale", "operations": 1, "amount_kopecks": 149990},
  {"rail": "sbp", "kind": "refund", "operations": 1, "amount_kopecks": 49990}]}' close | field takings_kopecks
get "/v1/shifts/$SHIFT/report?format=text"

#!/bin/sh
# Puts two touchpoints on Kafka by kcat: one in structured mode, one in binary mode.
#
# apt-get install kcat

set -eu
servers=${TOUCHSTONE_KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}
topic=${TOUCHSTONE_TOPIC:-touchpoints}

# With idempotence comes acks=all; this partitioner is that of other clients.
emit() {
    kcat -P -b "$servers" -t "$topic" \
        -X enable.idempotence=true -X partitioner=murmur2_random "$@"
}

# The key, a tab, and the whole event, on one line.
printf '%s\t%s\n' 'customer:42' '{"specversion": "1.0", "id": "A-1001", "source": "shop", "type": "order.completed.v1", "subject": "customer:42", "time": "2026-01-05T10:00:00+01:00", "data": {"order_id": "A-1001", "total": {"amount": "12.50", "currency": "EUR"}}}' |
    emit -K '\t' -H 'content-type=application/cloudevents+json'

# The data are the value, and each attribute is a header.
printf '%s\n' '{"survey_id": "S-7", "kind": "csat", "score": 5, "comment": "Perché no? Grüße!"}' |
    emit -k 'customer:42' -H 'content-type=application/json' \
        -H 'ce_specversion=1.0' \
        -H 'ce_id=S-7/A-1001' \
        -H 'ce_source=shop' \
        -H 'ce_type=survey.answered.v1' \
        -H 'ce_subject=customer:42' \
        -H 'ce_time=2026-01-06T18:30:00+01:00'

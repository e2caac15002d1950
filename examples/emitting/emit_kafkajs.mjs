// Puts two touchpoints on Kafka by kafkajs: one in structured mode, one in binary mode.
//
// npm install kafkajs

import { Kafka, Partitioners } from 'kafkajs';

const servers = process.env.TOUCHSTONE_KAFKA_BOOTSTRAP_SERVERS ?? 'localhost:9092';
const topic = process.env.TOUCHSTONE_TOPIC ?? 'touchpoints';

const order = {
  specversion: '1.0',
  id: 'A-1001',
  source: 'shop',
  type: 'order.completed.v1',
  subject: 'customer:42',
  time: '2026-01-05T10:00:00+01:00',
  data: { order_id: 'A-1001', total: { amount: '12.50', currency: 'EUR' } },
};
const answer = {
  specversion: '1.0',
  id: 'S-7/A-1001',
  source: 'shop',
  type: 'survey.answered.v1',
  subject: 'customer:42',
  time: '2026-01-06T18:30:00+01:00',
  data: { survey_id: 'S-7', kind: 'csat', score: 5, comment: 'Perché no? Grüße!' },
};

// The whole event is the value.
const structured = (touchpoint) => ({
  key: touchpoint.subject,
  value: JSON.stringify(touchpoint),
  headers: { 'content-type': 'application/cloudevents+json' },
});

// The data are the value, and each attribute is a header.
const binary = ({ data, ...attributes }) => ({
  key: attributes.subject,
  value: JSON.stringify(data),
  headers: {
    'content-type': 'application/json',
    ...Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [`ce_${name}`, String(value)]),
    ),
  },
});

const producer = new Kafka({ clientId: 'shop', brokers: servers.split(',') }).producer({
  idempotent: true, // and with it acks=-1, which is all
  maxInFlightRequests: 1,
  createPartitioner: Partitioners.DefaultPartitioner,
});
await producer.connect();
await producer.send({ topic, messages: [structured(order), binary(answer)] });
await producer.disconnect();

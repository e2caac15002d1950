// Emmett's append, run by bench/against.py: a group in one stream, one transaction a group.
//
// node emmett.mjs PACKAGES DATABASE EVENTS GROUP: prints the events per second. EVENTS is a file
// with one event a line, of its type and its data.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [packages, database, file, group] = process.argv.slice(2);
const { getPostgreSQLEventStore } = createRequire(`${packages}/package.json`)(
  '@event-driven-io/emmett-postgresql',
);

const events = readFileSync(file, 'utf8').split('\n').filter(Boolean).map(JSON.parse);
const groups = [];
for (let first = 0; first < events.length; first += Number(group)) {
  groups.push(events.slice(first, first + Number(group)));
}

const store = getPostgreSQLEventStore(database);
await store.schema.migrate();
await store.appendToStream(`touchpoint-${randomUUID()}`, events.slice(0, 1)); // it is connected
const started = performance.now();
for (const group of groups) {
  await store.appendToStream(`touchpoint-${randomUUID()}`, group);
}
console.log(events.length / ((performance.now() - started) / 1000));
await store.close();

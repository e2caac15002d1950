// Sends calls by @segment/analytics-node: they come as JSON on standard input.
//
// TOUCHSTONE_URL and TOUCHSTONE_SECRET say where, and with which write key; the one argument how
// many go in a batch. Nothing of the library is changed but its settings. Fails when it gives a
// batch up.

const { readFileSync } = require('node:fs');
const { Analytics } = require('@segment/analytics-node');

const analytics = new Analytics({
  writeKey: process.env.TOUCHSTONE_SECRET,
  host: process.env.TOUCHSTONE_URL,
  flushAt: Number(process.argv[2]),
  flushInterval: 100,
});
analytics.on('error', (error) => {
  console.error('given up', error);
  process.exitCode = 1;
});

for (const { method, ...call } of JSON.parse(readFileSync(0, 'utf8'))) {
  analytics[method]({ ...call, timestamp: new Date(call.timestamp) });
}
analytics.closeAndFlush({ timeout: 60_000 });

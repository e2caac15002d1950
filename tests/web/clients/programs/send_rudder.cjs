// Sends calls by @rudderstack/rudder-sdk-node: they come as JSON on standard input.
//
// TOUCHSTONE_URL and TOUCHSTONE_SECRET say where, and with which write key; the one argument how
// many go in a batch. Nothing of the library is changed but its settings. Fails when it gives a
// batch up.

const { readFileSync } = require('node:fs');
const Analytics = require('@rudderstack/rudder-sdk-node');

const analytics = new Analytics(process.env.TOUCHSTONE_SECRET, {
  dataPlaneUrl: process.env.TOUCHSTONE_URL,
  flushAt: Number(process.argv[2]),
  flushInterval: 100,
  retryCount: 20,
});
const calls = JSON.parse(readFileSync(0, 'utf8'));
let waiting = calls.length;

function told(error) {
  if (error) {
    console.error('given up', error.message);
    process.exitCode = 1;
  }
  waiting -= 1;
}

async function send() {
  for (const { method, ...call } of calls) {
    analytics[method]({ ...call, timestamp: new Date(call.timestamp) }, told);
  }
  while (waiting > 0) {
    await analytics.flush();
    await new Promise(setImmediate);
  }
}

send();

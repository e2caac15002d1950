// Sends events made by the JavaScript library of CloudEvents, in the three modes in turn.
//
// They come as JSON on standard input; TOUCHSTONE_URL and TOUCHSTONE_SECRET say where, and as whom;
// the one argument how many go in a batch. The transport is the library's own, which tells no
// status: an answer with a position is a good one. What had none is sent again.

const { readFileSync } = require('node:fs');
const { CloudEvent, HTTP, Mode, emitterFor, httpTransport } = require('cloudevents');

const ATTEMPTS_MAX = 60;
const AGAIN_MILLISECONDS = 50;
const together = Number(process.argv[2]);
const transport = httpTransport(`${process.env.TOUCHSTONE_URL}/v1/events`);
const binary = emitterFor(transport, { mode: Mode.BINARY });
const structured = emitterFor(transport, { mode: Mode.STRUCTURED });
const batch = (events) => (_, options) =>
  transport(
    {
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: `[${events.map((event) => HTTP.structured(event).body)}]`,
    },
    options,
  );
const headers = { authorization: `Bearer ${process.env.TOUCHSTONE_SECRET}` };
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

function isRecorded(answer) {
  const told = JSON.parse(answer.body);
  return (told.items ?? [told]).every((item) => item.position > 0);
}

async function deliver(emit, event) {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    try {
      const answer = await emit(event, { headers });
      if (isRecorded(answer)) return;
      await pause(1_000 * Number(answer.headers['retry-after']));
    } catch (error) {
      if (!('code' in error)) throw error;
      await pause(AGAIN_MILLISECONDS);
    }
  }
  throw new Error('given up');
}

async function send() {
  const events = JSON.parse(readFileSync(0, 'utf8')).map((event) => new CloudEvent(event));
  for (let at = 0; at < events.length; at += together) {
    const [first, second, ...others] = events.slice(at, at + together);
    await deliver(binary, first);
    if (second) await deliver(structured, second);
    if (others.length > 0) await deliver(batch(others));
  }
}

send();

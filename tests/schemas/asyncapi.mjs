// Judges AsyncAPI documents with the parser of the AsyncAPI initiative.
//
// node asyncapi.mjs PACKAGES DOCUMENT...: prints, as JSON, for each its errors and how many messages
// it has.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [packages, ...files] = process.argv.slice(2);
const require = createRequire(`${packages}/package.json`);
const { Parser } = require('@asyncapi/parser');
const Ajv2020 = require('ajv/dist/2020').default;

const ERROR = 0;
const judge = new Ajv2020({ strict: false, allErrors: true });

async function judged(file) {
  // The parser looks at payloads of version 2 only, and by itself knows JSON Schema in draft 7
  // only: so they are judged here, when it hands them over with all that they refer to.
  const faults = [];
  const draft2020 = {
    getMimeTypes: () => ['application/schema+json;version=draft-2020-12'],
    validate: () => [],
    parse: ({ data, path }) => {
      if (!judge.validateSchema(data)) {
        for (const { instancePath, message } of judge.errors) {
          faults.push(`draft-2020-12 at ${path.join('/')}${instancePath}: ${message}`);
        }
      }
      return data;
    },
  };
  const parser = new Parser();
  parser.registerSchemaParser(draft2020);
  const { document, diagnostics } = await parser.parse(readFileSync(file, 'utf8'), { source: file });
  const errors = diagnostics
    .filter(({ severity }) => severity === ERROR)
    .map(({ code, path, message }) => `${code} at ${path.join('/')}: ${message}`);
  const messages = document?.allMessages().all().length ?? 0;
  return { errors: [...errors, ...faults], messages };
}

const verdicts = [];
for (const file of files) verdicts.push(await judged(file));
process.stdout.write(JSON.stringify(verdicts));

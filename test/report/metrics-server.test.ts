/** The metrics server answers real requests on the loopback interface, and stops when it is closed. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { MetricsServer } from '../../src/report/metrics-server.js';

const open = (port = 0, text = async () => 'tandem_rows_total 1\n') =>
  MetricsServer.open({ port, host: '127.0.0.1', text });

test('GET and HEAD of /metrics are answered, other requests are refused', async () => {
  const server = await open();
  try {
    assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    const answer = await fetch(server.url);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    assert.equal(await answer.text(), 'tandem_rows_total 1\n');
    assert.equal((await fetch(`${server.url}?x=1`)).status, 200);
    assert.equal(await (await fetch(server.url, { method: 'HEAD' })).text(), '');
    assert.equal((await fetch(server.url, { method: 'POST' })).status, 405);
    assert.equal((await fetch(new URL('/', server.url))).status, 404);
  } finally {
    await server.close();
  }
});

test('an error while metrics are read gives 503 and does not end the run', async () => {
  const server = await open(0, () => Promise.reject(new Error('the stage has ended')));
  try {
    assert.equal((await fetch(server.url)).status, 503);
  } finally {
    await server.close();
  }
});

test('closing ends open connections and frees the port', async () => {
  const server = await open();
  const { port } = new URL(server.url);
  const idle = connect(Number(port), '127.0.0.1');
  await new Promise((resolve) => idle.once('connect', resolve));
  const ended = new Promise((resolve) => idle.once('close', resolve).on('error', () => {}));
  await server.close();
  await ended;
  const again = await open(Number(port));
  await again.close();
});

test('a port in use is refused with a remedy', async () => {
  const server = await open();
  try {
    const port = Number(new URL(server.url).port);
    await assert.rejects(open(port), { code: 'TANDEM_USAGE', message: /in use/, remedy: /--metrics-port/ });
  } finally {
    await server.close();
  }
});

/** Serves metrics over HTTP while a job runs: `GET /metrics`, on the loopback interface by default. */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TandemError } from '../errors.js';
import { METRICS_TYPE } from './metrics.js';

export interface MetricsServerOptions {
  /** 0 takes any free port. */
  readonly port: number;
  readonly host: string;
  /** Returns the text; called for each request. */
  readonly text: () => Promise<string>;
}

export class MetricsServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Throws TANDEM_USAGE if it cannot listen on the address. */
  static async open({ port, host, text }: MetricsServerOptions): Promise<MetricsServer> {
    const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, answering(text));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) => reject(cannotListen(port, host, cause)));
      server.listen({ port, host }, resolve);
    });
    // Open connections must not keep the process alive after the run.
    server.unref();
    return new MetricsServer(server);
  }

  get url(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}/metrics`;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

function answering(text: () => Promise<string>): RequestListener {
  return async ({ method, url = '' }, response) => {
    const known = /^\/metrics(\?|$)/.test(url);
    const allowed = method === 'GET' || method === 'HEAD';
    if (!known) response.writeHead(404).end('the metrics are at /metrics\n');
    else if (!allowed) response.writeHead(405, { allow: 'GET, HEAD' }).end();
    else {
      try {
        const body = await text();
        response.writeHead(200, { 'content-type': METRICS_TYPE, 'cache-control': 'no-store' });
        response.end(method === 'HEAD' ? undefined : body);
      } catch {
        // A stage that is ending cannot be queried.
        response.writeHead(503).end('the job is ending\n');
      }
    }
  };
}

function cannotListen(port: number, host: string, cause: NodeJS.ErrnoException): TandemError {
  const reasons: Record<string, string> = {
    EADDRINUSE: 'the port is in use',
    EACCES: 'this user may not use the port',
    EADDRNOTAVAIL: 'this machine has no such address',
    ENOTFOUND: 'there is no such host',
  };
  const why = reasons[cause.code ?? ''] ?? cause.message;
  return new TandemError('TANDEM_USAGE', `metrics cannot be served at ${host}:${port}: ${why}`, {
    remedy: 'give another --metrics-port (0 takes a free one) or --metrics-host',
    cause,
  });
}

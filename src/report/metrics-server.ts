/** Metrics over HTTP while a job runs: `GET /metrics`, on the loopback unless somebody opens it to others. */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TandemError } from '../errors.js';
import { METRICS_TYPE } from './metrics.js';

export interface MetricsServerOptions {
  /** 0 takes any that is free. */
  readonly port: number;
  readonly host: string;
  /** The text, made anew for each request. */
  readonly text: () => Promise<string>;
}

export class MetricsServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Throws TANDEM_USAGE when it cannot listen there. */
  static async open({ port, host, text }: MetricsServerOptions): Promise<MetricsServer> {
    const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, answering(text));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) => reject(cannotListen(port, host, cause)));
      server.listen({ port, host }, resolve);
    });
    // The run decides how long the process lives, not who still reads its metrics.
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
        // A stage that is just ending cannot be asked.
        response.writeHead(503).end('the job is ending\n');
      }
    }
  };
}

function cannotListen(port: number, host: string, cause: NodeJS.ErrnoException): TandemError {
  const reasons: Record<string, string> = {
    EADDRINUSE: 'the port is in use',
    EACCES: 'the port may not be used',
    EADDRNOTAVAIL: 'this machine has no such address',
    ENOTFOUND: 'there is no such host',
  };
  const why = reasons[cause.code ?? ''] ?? cause.message;
  return new TandemError('TANDEM_USAGE', `metrics cannot be served at ${host}:${port}: ${why}`, {
    remedy: 'name another --metrics-port (0 takes one that is free) or --metrics-host',
    cause,
  });
}

/** A real redis-server of the caller's own: a free port, a folder of its own, TLS and passwords where asked. For tests, benches and scripts. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ServerSetup {
  /** Lines of a redis.conf. */
  readonly config?: readonly string[];
  /** Speak TLS alone, with a certificate of an authority made here. */
  readonly tls?: boolean;
}

/** The reason for which tests of the queue are skipped here, or `false`. */
export const NO_REDIS: string | false =
  spawnSync('redis-server', ['--version']).status === 0
    ? false
    : 'there is no redis-server (Debian: apt-get install redis-server)';

export class RedisServer {
  readonly folder: string;
  readonly port: number;
  readonly tls: boolean;
  readonly #config: readonly string[];
  #child: ChildProcess | null = null;

  private constructor(port: number, { config = [], tls = false }: ServerSetup) {
    this.folder = mkdtempSync(join(tmpdir(), 'tandem-redis-'));
    this.port = port;
    this.tls = tls;
    if (tls) makeCertificates(this.folder);
    const ports = tls
      ? [
          'port 0',
          `tls-port ${port}`,
          'tls-cert-file server.pem',
          'tls-key-file server.key',
          'tls-ca-cert-file ca.pem',
          'tls-auth-clients no',
        ]
      : [`port ${port}`];
    // As the page of the cluster recommends: at most the last second is lost.
    this.#config = [
      'bind 127.0.0.1',
      `dir ${this.folder}`,
      ...ports,
      'appendonly yes',
      'appendfsync everysec',
      'save ""',
      ...config,
    ];
  }

  static async open(setup: ServerSetup = {}): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), setup);
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get url(): string {
    return `${this.tls ? 'rediss' : 'redis'}://127.0.0.1:${this.port}`;
  }

  get caFile(): string {
    return join(this.folder, 'ca.pem');
  }

  /** Resolves when it takes connections. */
  async start(): Promise<void> {
    const file = join(this.folder, 'redis.conf');
    writeFileSync(file, `${this.#config.join('\n')}\n`);
    const child = spawn('redis-server', [file], { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      let text = '';
      const look = (chunk: Buffer) => {
        text += chunk;
        if (text.includes('Ready to accept connections')) resolve();
      };
      child.stdout.on('data', look);
      child.stderr.on('data', look);
      child.on('exit', () => reject(new Error(`redis-server ended: ${text}`)));
    });
  }

  /** As when the machine fails. Resolves when the process is no more. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  freeze(): void {
    this.#child!.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child!.kill('SIGCONT');
  }

  /** What a command of redis-cli prints. */
  cli(...args: string[]): string {
    const tls = this.tls ? ['--tls', '--cacert', this.caFile] : [];
    return execFileSync('redis-cli', ['-p', String(this.port), ...tls, ...args], { encoding: 'utf8' }).trim();
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function makeCertificates(folder: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=tandem test authority',
  );
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=127.0.0.1');
  writeFileSync(join(folder, 'ext'), 'subjectAltName=IP:127.0.0.1\n');
  openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    'ext',
    '-out',
    'server.pem',
  );
}

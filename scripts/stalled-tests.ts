/** Loaded into the process of each test file by scripts/test.ts: ends the process and names the running tests if no test starts or ends for too long. */
import { afterEach, beforeEach, type TestContext } from 'node:test';

/** Milliseconds; longer than any test takes on a busy machine. */
const TIMEOUT = Number(process.env.TEST_TIMEOUT ?? 180_000);

const running = new Set<TestContext>();
const timer = setTimeout(() => {
  const names = [...running].map((each) => ('name' in each ? `"${each.name}"` : 'a test'));
  process.stderr.write(
    `${process.argv[1]}: no test started or ended for ${TIMEOUT / 1000} s; running: ${names.join(', ') || 'none yet'}\n`,
  );
  process.exit(1);
}, TIMEOUT).unref();

// The process of the runner has no tests.
if (process.env.NODE_TEST_CONTEXT === undefined) clearTimeout(timer);

const watch = (change: (test: TestContext) => void) => (test: unknown) => {
  change(test as TestContext);
  if (process.env.NODE_TEST_CONTEXT !== undefined) timer.refresh();
};
beforeEach(watch((test) => running.add(test)));
afterEach(watch((test) => running.delete(test)));

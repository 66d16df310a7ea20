/** Fetches OpenVINO's library for this checkout's tests; `npm run setup` runs it, and `tandem setup openvino` is the same for users. */
import { printError } from '../src/cli/fail.js';
import { fetchOpenvino } from '../src/cli/setup.js';
import { openvinoSource } from '../src/setup/openvino-wheels.js';

// Where no library is published there is nothing to do, and its tests skip.
if (openvinoSource() !== null) {
  await fetchOpenvino({ quiet: true }).catch((error) => {
    process.exitCode = printError(error);
  });
}

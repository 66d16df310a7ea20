/** Links the checkout's TensorFlow packages; `npm run setup` runs it, and `tandem setup tensorflow` is the same for users. */
import { printError } from '../src/cli/fail.js';
import { setUpTensorflow } from '../src/cli/setup.js';

await setUpTensorflow({ quiet: true, ...(process.argv.includes('--gpu') && { gpu: true }) }).catch((error) => {
  process.exitCode = printError(error);
});

/** Errors for models that are not on this machine: an address, or a name on the Hugging Face hub, with the command that downloads them. */
import { basename } from 'node:path';
import { TandemError } from '../errors.js';
import { shellWord } from '../shell-word.js';
import { optimumCommand } from './file-kind.js';

const HUB_FILE =
  /^(?:https?:\/\/huggingface\.co\/|hf:\/\/)([\w.-]+\/[\w.-]+)(?:\/(?:blob|resolve|tree)\/[^/]+)?(?:\/(.*?))?(?:\?.*)?$/;
const HUB_NAME = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;

/** The error for a missing `path` that is an address or may be a name on the hub. Commands: huggingface.co/docs/huggingface_hub/guides/cli. */
export function remoteModel(path: string): TandemError | null {
  const onHub = HUB_FILE.exec(path);
  if (onHub) return missing(`${path} is an address, and tandem fetches nothing`, fromHub(onHub[1]!, onHub[2] || null));
  if (/^file:\/\//.test(path)) {
    return missing(`${path} is an address, and tandem takes paths`, `give the path: ${shellWord(path.slice(7))}`);
  }
  if (/^https?:\/\//.test(path)) {
    const name = basename(path.replace(/[?#].*$/, ''));
    return missing(
      `${path} is an address, and tandem fetches nothing`,
      `download it, with its weight files if it has any: curl -L -o ${shellWord(name)} ${shellWord(path)}`,
    );
  }
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(path)) {
    return missing(`${path} is an address, and tandem fetches nothing`, 'copy it to this machine and give its path');
  }
  if (!HUB_NAME.test(path) || /\.(onnx|json)$/i.test(path)) return null;
  return missing(`no model at ${path}`, `if that is its name on Hugging Face: ${fromHub(path, null)}`);
}

function fromHub(name: string, file: string | null): string {
  const folder = basename(name);
  const one = file ? ` ${shellWord(file)}` : '';
  return `pip install huggingface_hub; hf download ${name}${one} --local-dir ${folder}; if it has no ONNX file: ${optimumCommand(name, folder)}`;
}

function missing(what: string, remedy: string): TandemError {
  return new TandemError('TANDEM_MODEL_MISSING', what, { remedy });
}

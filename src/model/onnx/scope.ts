/** An op's scope: its place in the module tree of the original program, from the exporter's names or metadata. */

/** A module path, outermost first: `['encoder', 'layer.0', 'attention']`. */
export type Scope = readonly string[];

/** The newer PyTorch exporter's metadata key: a Python list of module paths, outermost first, the op itself last. */
export const SCOPE_KEY = 'pkg.torch.onnx.name_scopes';

/** That exporter's name for the scope of ops that belong to no module, such as those of folded masks. */
const NOWHERE = '_empty_nn_module_stack_from_metadata_hook';

/** `layer.3`, `block_3`, `h3`: a name and a number. */
const NUMBERED = /^(.*?)[._]?(\d+)$/;
/** `layer.3`: the member of a list, as PyTorch writes it. */
const MEMBER = /\.\d+$/;

/** The scope of a node: of `/encoder/layer.0/attention/MatMul`, all but the last part. */
export function scopeOf({ name, scope }: { readonly name: string; readonly scope: Scope }): Scope {
  return joined((scope.length > 0 ? scope : partsOf(name, '/')).filter((part) => part !== NOWHERE));
}

/** The scope by the weights' names, if ops have none: of `encoder.layer.0.attention.weight`, all but the last part. */
export function scopeOfWeights(names: readonly string[]): Scope {
  for (const name of names) {
    const scope = joined(partsOf(name, name.includes('/') ? '/' : '.'));
    if (scope.length > 0) return scope;
  }
  return [];
}

function partsOf(name: string, separator: string): string[] {
  return name
    .split(separator)
    .filter((part) => part !== '')
    .slice(0, -1);
}

/** `layer`, `0` is the same as `layer.0`. */
function joined(parts: readonly string[]): Scope {
  const whole: string[] = [];
  for (const part of parts) {
    if (/^\d+$/.test(part) && whole.length > 0) whole.push(`${whole.pop()}.${part}`);
    else whole.push(part);
  }
  return whole;
}

/** One of several numbered modules with the same name and parent. */
export interface Member {
  /** The whole path: `encoder/layer.0`. */
  readonly path: string;
  /** The path without the number, which is the same for the whole family: `encoder/layer`. */
  readonly family: string;
  readonly depth: number;
}

/**
 * The outermost numbered module of a scope, or, if lists are directly inside it, the innermost of those:
 * `layer1/layer1.0/conv1` is in `layer1.0`, `layers.2/mlp/net.0` in `layers.2`.
 */
export function memberOf(scope: Scope): Member | null {
  let depth = scope.findIndex((part) => NUMBERED.test(part));
  if (depth < 0) return null;
  while (depth + 1 < scope.length && MEMBER.test(scope[depth + 1]!)) depth++;
  const [, base = ''] = NUMBERED.exec(scope[depth]!)!;
  // A list within a numbered module is of the same family as its neighbours': layer1.0 and layer2.0 are of one family.
  const family = [...scope.slice(0, depth), base].map((part) => NUMBERED.exec(part)?.[1] || part).join('/');
  return { path: scope.slice(0, depth + 1).join('/'), family, depth: depth + 1 };
}

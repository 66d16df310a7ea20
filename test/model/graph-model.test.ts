/** Reading GraphModels: nodes as ops, the signature's names, order, constants, and the places where no cut may go. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeModel } from '../../scripts/make-model.js';
import { TandemError } from '../../src/errors.js';
import { isLegalCut, legalCuts, liveTensors } from '../../src/model/cut.js';
import { type GraphModelGraph, readGraphModel } from '../../src/model/graph-model.js';

type Json = Record<string, unknown>;

const node = (name: string, op: string, input: readonly string[] = [], attr: Json = {}) => ({ name, op, input, attr });
const placeholder = (name: string, dtype = 'DT_FLOAT', ...dims: readonly number[]) =>
  node(name, 'Placeholder', [], {
    dtype: { type: dtype },
    shape: { shape: { dim: [-1, ...dims].map((size) => ({ size: String(size) })) } },
  });
const type = (name: string) => ({ T: { type: name } });

/** The graph of nodes that read no weights. */
const read = (nodes: readonly Json[], rest: Json = {}): Promise<GraphModelGraph> =>
  readGraphModel('/nowhere/model.json', { modelTopology: { node: nodes, ...rest }, ...rest });

async function readNamed(name: string, change: (manifest: Json) => void = () => {}): Promise<GraphModelGraph> {
  const file = await makeModel(name, mkdtempSync(join(tmpdir(), 'tandem-graph-')));
  const manifest = JSON.parse(readFileSync(file, 'utf8'));
  change(manifest);
  return readGraphModel(file, manifest);
}

const lines = ({ ops }: GraphModelGraph) =>
  ops.map(({ name, inputs, outputs }) => `${name}: ${inputs.join(' ')} -> ${outputs.join(' ')}`);
const names = ({ ops }: GraphModelGraph) => ops.map(({ name }) => name);

function refused(promise: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  return assert.rejects(promise, (error) => {
    assert.ok(error instanceof TandemError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.notEqual(error.remedy, '');
    return true;
  });
}

test('nodes are ops, constants are weights, further outputs have their number, and control edges are no tensors', async () => {
  const graph = await readNamed('two-in-two-out-graph');
  assert.deepEqual(
    graph.inputs.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    [
      { name: 'left', dtype: 'float32', shape: [null, 8] },
      { name: 'right', dtype: 'float32', shape: [null, 8] },
    ],
  );
  const text = lines(graph);
  assert.ok(text.includes('split: tower_left/Tanh -> split split:1'), text.join('\n'));
  assert.ok(text.includes('concat: tower_right/Tanh split:1 -> concat'));
  assert.ok(text.includes('back/Relu: back/BiasAdd -> back/Relu'));
  assert.deepEqual(graph.ops.find(({ name }) => name === 'tower_left/MatMul')!.weights, ['shared/kernel']);
  assert.deepEqual(graph.outputs, ['late/Softmax', 'early/Sigmoid']);
  assert.deepEqual(
    [...graph.outputNames!],
    [
      ['late/Softmax', 'late'],
      ['early/Sigmoid', 'early'],
    ],
  );
});

test('public names are the keys of the signature, inside too, unless a node has that name already', async () => {
  const nodes = [
    placeholder('serving_x', 'DT_FLOAT', 3),
    placeholder('y'),
    node('a', 'Add', ['serving_x', 'y']),
    node('b', 'Relu', ['a']),
  ];
  const info = (name: string) => ({
    name: `${name}:0`,
    dtype: 'DT_FLOAT',
    tensorShape: { dim: [{ size: '-1' }, { size: '3' }] },
  });
  const signature = {
    inputs: { x: info('serving_x'), a: info('y'), dropped: info('gone') },
    outputs: { result: info('b'), same: info('y') },
  };
  const graph = await read(nodes, { signature });
  assert.deepEqual(
    graph.inputs.map(({ name, shape }) => [name, shape]),
    [
      ['x', [null, 3]],
      ['y', [null, 3]],
    ],
  );
  assert.deepEqual(lines(graph), ['a: x y -> a', 'b: a -> b']);
  assert.deepEqual(graph.outputs, ['b', 'y']);
  assert.deepEqual(
    [...graph.outputNames!],
    [
      ['b', 'result'],
      ['y', 'same'],
    ],
  );
  const metadata = await read(nodes, { userDefinedMetadata: { signature } });
  assert.deepEqual(metadata.outputs, ['b', 'y']);
});

test('without a signature, placeholders go in and what nobody reads comes out', async () => {
  const graph = await read([
    placeholder('x', 'DT_INT32', 2),
    node('a', 'Abs', ['x']),
    node('b', 'Neg', ['x']),
    node('c', 'NoOp', ['^a']),
  ]);
  assert.deepEqual(graph.inputs, [{ name: 'x', dtype: 'int32', shape: [null, 2] }]);
  assert.deepEqual(graph.outputs, ['b']);
  assert.deepEqual(names(graph), ['b']);
});

test('the order is that of the file where it can be, whatever is listed first; control edges count', async () => {
  const chain = [
    placeholder('x'),
    node('a', 'Relu', ['x']),
    node('b', 'Relu', ['a', '^d']),
    node('c', 'Add', ['b', 'a']),
    node('d', 'Relu', ['x']),
    node('e', 'Add', ['c', 'd']),
  ];
  assert.deepEqual(names(await read(chain)), ['a', 'd', 'b', 'c', 'e']);
  await fc.assert(
    fc.asyncProperty(fc.shuffledSubarray(chain, { minLength: chain.length }), async (shuffled) => {
      const graph = await read(shuffled);
      const at = new Map(names(graph).map((name, k) => [name, k]));
      for (const { name, input } of chain.slice(1)) {
        for (const edge of input)
          assert.ok((at.get(edge.replace('^', '')) ?? -1) < at.get(name)!, `${edge} before ${name}`);
      }
    }),
  );
});

test('a graph of ten thousand nodes in the wrong order is read', async () => {
  const nodes = Array.from({ length: 10_000 }, (_, n) => node(`n${n}`, 'Relu', [n === 0 ? 'x' : `n${n - 1}`]));
  const graph = await read([...nodes.reverse(), placeholder('x')]);
  assert.equal(graph.ops.length, 10_000);
  assert.equal(graph.ops.at(-1)!.name, 'n9999');
});

test('a loop is not cut, nor its array from its last reader; a condition neither', async () => {
  const graph = await readNamed('loop');
  const inside = (k: number) => /^(loop\/|sum$)/.test(graph.ops[k]!.name) && graph.ops[k]!.name !== 'loop/array';
  assert.deepEqual(
    legalCuts(graph).filter((k) => inside(k) && graph.ops[k]!.name !== 'sum'),
    [],
  );
  assert.ok(isLegalCut(graph, names(graph).indexOf('sum')));
  const condition = await read([
    placeholder('p', 'DT_BOOL'),
    placeholder('x'),
    node('switch', 'Switch', ['x', 'p'], type('DT_FLOAT')),
    node('yes', 'Relu', ['switch:1'], type('DT_FLOAT')),
    node('inner', 'Switch', ['yes', 'p'], type('DT_FLOAT')),
    node('deep', 'Merge', ['inner', 'inner:1'], type('DT_FLOAT')),
    node('no', 'Neg', ['switch'], type('DT_FLOAT')),
    node('merge', 'Merge', ['no', 'deep'], type('DT_FLOAT')),
    node('end', 'Relu', ['merge'], type('DT_FLOAT')),
  ]);
  assert.deepEqual(
    legalCuts(condition).map((k) => condition.ops[k]!.name),
    ['end'],
  );
});

test('functions are one op with the constants of their bodies, and are cut around', async () => {
  const graph = await readNamed('branch');
  const op = (name: string) => graph.ops.find((found) => found.name === name)!;
  assert.deepEqual(op('choose').weights, ['double/factor', 'negate/factor']);
  assert.deepEqual([...op('shrink').weights].sort(), ['halve/factor', 'is_large/axes', 'is_large/limit']);
  assert.equal(legalCuts(graph).length, graph.ops.length - 1);
});

test('no cut is crossed by a table, a string, a list or a complex number', async () => {
  const tables = await readNamed('tables');
  assert.ok(!isLegalCut(tables, names(tables).indexOf('find')));
  assert.ok(isLegalCut(tables, names(tables).indexOf('rows')));
  const chains: [string, Json][] = [
    ['TensorListReserve', { element_dtype: { type: 'DT_FLOAT' } }],
    ['RFFT', { Treal: { type: 'DT_FLOAT' } }],
    ['HashTableV2', { Tout: { type: 'DT_INT32' } }],
  ];
  for (const [op, attr] of chains) {
    const graph = await read([
      placeholder('x'),
      node('a', op, ['x'], attr),
      node('b', 'Identity', ['a'], type('DT_FLOAT')),
      node('c', 'TensorListStack', ['b']),
      node('d', 'Relu', ['c']),
    ]);
    assert.deepEqual(legalCuts(graph), [3], op);
  }
  const strings = await read([
    placeholder('x'),
    node('a', 'Cast', ['x'], { SrcT: { type: 'DT_FLOAT' }, DstT: { type: 7 } }),
    node('b', 'Cast', ['a'], { SrcT: { type: 'DT_STRING' }, DstT: { type: 'DT_FLOAT' } }),
    node('c', 'Relu', ['b']),
  ]);
  assert.deepEqual(legalCuts(strings), [2]);
});

test('every tensor across a legal cut of the made models is a plain one', async () => {
  for (const name of ['loop', 'tables', 'branch']) {
    const graph = await readNamed(name);
    const live = new Set(legalCuts(graph).flatMap((k) => liveTensors(graph, k)));
    for (const tensor of live) assert.doesNotMatch(tensor, /array|flow|words|NextIteration|Switch|Enter/);
  }
});

test('inputs that cannot be fed row by row are refused', async () => {
  await refused(
    read([placeholder('x', 'DT_STRING'), node('a', 'Relu', ['x'])]),
    'TANDEM_MODEL_UNSUPPORTED',
    /x has dtype DT_STRING/,
  );
  await refused(
    read([node('x', 'Placeholder', [], { dtype: { type: 1 } }), node('a', 'Relu', ['x'])]),
    'TANDEM_MODEL_UNSUPPORTED',
    /no shape/,
  );
  await refused(
    read([
      node('x', 'Placeholder', [], { dtype: { type: 1 }, shape: { shape: { unknownRank: true } } }),
      node('a', 'Relu', ['x']),
    ]),
    'TANDEM_MODEL_UNSUPPORTED',
    /no shape/,
  );
  const fixed = await read([
    node('x', 'Placeholder', [], { dtype: { type: 1 }, shape: { shape: { dim: [{ size: 4 }, { size: 2 }] } } }),
    node('a', 'Relu', ['x']),
  ]);
  assert.equal(fixed.fixedBatch, 4);
});

test('a damaged graph is refused by the name of what is wrong', async () => {
  const x = placeholder('x');
  const outputs = (name: string) => ({ signature: { outputs: { out: { name } } } });
  const damaged: [() => Promise<unknown>, RegExp][] = [
    [() => read([]), /node/],
    [() => read([x, x]), /two nodes named x/],
    [() => read([x, node('a', 'Relu', ['gone'])]), /a reads gone/],
    [() => read([x, node('a', 'Relu', ['x:y:0'])]), /a has the input "x:y:0"/],
    [
      () => read([x, node('a', 'Add', ['x', 'b']), node('b', 'Relu', ['a']), node('c', 'Relu', ['b'])]),
      /in a circle through/,
    ],
    [() => read([x, node('__proto__', 'Relu', ['x'])]), /not a name/],
    [() => read([x, node('toString', 'Relu', ['x'])]), /not a name/],
    [() => read([{ name: 'a' }]), /op/],
    [() => read([x, node('a', 'Relu', ['x'])], outputs('gone:0')), /returns gone as out/],
    [() => read([x]), /returns nothing/],
    [() => read([x, node('a', 'If', ['x'], { then_branch: { func: { name: 'gone' } } })]), /calls the function gone/],
    [
      () =>
        read([x, placeholder('y'), node('a', 'Add', ['x', 'y'])], { signature: { inputs: { x: { name: 'x:0' } } } }),
      /needs y to be fed/,
    ],
  ];
  for (const [reading, message] of damaged) await refused(reading(), 'TANDEM_MODEL_INVALID', message);
  await refused(
    read([x, node('a', 'Relu', ['x'])], { signature: { outputs: { one: { name: 'a:0' }, two: { name: 'a' } } } }),
    'TANDEM_MODEL_UNSUPPORTED',
    /one and two are the same tensor/,
  );
});

test('a constant without a weight is named, with the node that reads it', async () => {
  await refused(
    readNamed('mlp-graph', ({ weightsManifest }) =>
      (weightsManifest as { weights: { name: string }[] }[])[0]!.weights.splice(-1, 1),
    ),
    'TANDEM_WEIGHTS_MISSING',
    /scores\/BiasAdd reads the constant scores\/bias/,
  );
  await refused(
    readNamed('branch', (manifest) => {
      const [group] = manifest.weightsManifest as { weights: { name: string }[] }[];
      group!.weights.find(({ name }) => name === 'double/factor')!.name = 'other';
    }),
    'TANDEM_WEIGHTS_MISSING',
    /choose reads the constant double\/factor/,
  );
});

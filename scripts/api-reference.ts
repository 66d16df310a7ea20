/**
 * Writes docs/library.md, the reference of the public names, from the packed types and their docstrings.
 *
 *   node dist/scripts/api-reference.js [--check]     with --check it only compares, and ends with 1 if they differ
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';

const root = resolve(import.meta.dirname, '../..');
const TYPES = join(root, 'dist/bundle/src/index.d.ts');
export const REFERENCE = join(root, 'docs/library.md');

const HEAD = `# The library

\`import { openPipeline, runFile, planModel, inspectModel } from 'tandem'\`. Options have the names of the flags of [the command line](../README.md), in camelCase; errors are \`TandemError\`s, whose codes
[troubleshooting](troubleshooting.md) lists. This page is generated from the types by \`node dist/scripts/api-reference.js\`.
`;

type Declared = ts.FunctionDeclaration | ts.ClassDeclaration | ts.InterfaceDeclaration | ts.TypeAliasDeclaration;

const KINDS: readonly (readonly [title: string, is: (node: ts.Node) => boolean])[] = [
  ['Functions', ts.isFunctionDeclaration],
  ['Classes', ts.isClassDeclaration],
  ['Types', (node) => ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)],
];

/** The page's text. */
export function apiReference(): string {
  const source = ts.createSourceFile(TYPES, readFileSync(TYPES, 'utf8'), ts.ScriptTarget.Latest, true);
  const names = exportedNames(source);
  const declared = source.statements.filter((node): node is Declared => KINDS.some(([, is]) => is(node)));
  const shown = declared.filter(({ name }) => name && names.has(name.text));
  const sections = KINDS.map(([title, is]) => {
    const own = shown.filter(is).sort((a, b) => (a.name!.text < b.name!.text ? -1 : 1));
    return `## ${title}\n\n${own.map((node) => entry(node, source, names.get(node.name!.text)!)).join('\n')}`;
  });
  return `${HEAD}\n${sections.join('\n')}`;
}

/** The public name of each declaration: some are exported by another name than their own. */
function exportedNames(source: ts.SourceFile): Map<string, string> {
  const clauses = source.statements.filter(ts.isExportDeclaration).map(({ exportClause }) => exportClause);
  const elements = clauses.flatMap((clause) => (clause && ts.isNamedExports(clause) ? [...clause.elements] : []));
  return new Map(elements.map(({ propertyName, name }) => [(propertyName ?? name).text, name.text]));
}

/** A name with its docstring as text, and its declaration, in which members keep theirs. */
function entry(node: Declared, source: ts.SourceFile, name: string): string {
  const docs = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
  const text = docs.map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? '').join('\n\n');
  const code = source.text.slice(node.getStart(source), node.end).replace(/^declare /, '');
  return `### ${name}\n\n${text ? `${text}\n\n` : ''}\`\`\`ts\n${code}\n\`\`\`\n`;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const text = apiReference();
  if (!process.argv.includes('--check')) writeFileSync(REFERENCE, text);
  else if (readFileSync(REFERENCE, 'utf8') !== text) {
    process.stderr.write(`${REFERENCE} is not what the types say; write it anew: node dist/scripts/api-reference.js\n`);
    process.exitCode = 1;
  }
}

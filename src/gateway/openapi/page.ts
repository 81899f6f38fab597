import { fieldsOf, typeOf } from './fields-of.ts';

type Json = Record<string, unknown>;

interface Operation {
  operationId: string;
  summary: string;
  description?: string;
  tags: string[];
  parameters: { name: string; in: string; schema: Json }[];
  requestBody?: { content: { 'application/json': { schema: Json } } };
  responses: Record<string, { description: string; content: Content }>;
}

interface Content {
  'application/json': { schema: Json };
  /** Of each line, where an answer may be of lines. */
  'application/x-ndjson'?: { schema: Json };
}

export const STYLE = `
:root { color-scheme: light dark; --line: #d8d8d8; --soft: #f5f5f5; --muted: #5c5c5c; --link: #0b57d0; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto 6rem; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { margin-bottom: .2rem; }
h2 { margin: 2.5rem 0 .8rem; font-size: 1.25rem; }
h3 { margin: 1.2rem 0 .3rem; font-size: .95rem; }
a { color: var(--link); }
code { font: .875em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
details { border: 1px solid var(--line); border-top-width: 0; padding: .45rem .8rem; }
details:first-of-type { border-top-width: 1px; border-radius: 6px 6px 0 0; }
details:last-of-type { border-radius: 0 0 6px 6px; }
summary { cursor: pointer; }
.method { display: inline-block; width: 4.4rem; font: 600 .8em/1 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.about { display: block; margin-left: 4.4rem; padding-left: 1rem; color: var(--muted); font-size: .9em; }
.get { color: #0b6e99; } .post { color: #1a7f37; } .put, .patch { color: #9a6700; } .delete { color: #c62828; }
table { border-collapse: collapse; width: 100%; font-size: .9em; }
td { padding: .25rem 1rem .25rem 0; vertical-align: top; border-top: 1px solid var(--line); }
td:first-child { width: 34%; } td:nth-child(2) { width: 26%; color: var(--muted); }
table.answers td:first-child { width: 4rem; } table.answers td:nth-child(2) { width: auto; color: inherit; }
.required { color: #c62828; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a3a3a; --soft: #222; --muted: #a8a8a8; --link: #8ab4f8; }
  body { color: #e6e6e6; background: #161616; }
  .get { color: #6cb6e0; } .post { color: #6cc781; } .put, .patch { color: #e0b15a; } .delete, .required { color: #f28b82; }
}
`;

/** The human page of an OpenAPI document: one file, without scripts and without anything from elsewhere. */
export function apiPage(document: Json): string {
  const { info, paths } = document as {
    info: { title: string; version: string; description: string };
    paths: Record<string, Record<string, Operation>>;
  };
  const groups = new Map<string, string[]>();
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags[0] ?? '';
      groups.set(tag, [...(groups.get(tag) ?? []), section(method, path, operation)]);
    }
  }
  const body = [...groups]
    .map(([tag, sections]) => `<section>\n<h2>${escape(tag)}</h2>\n${sections.join('\n')}\n</section>`)
    .join('\n');
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escape(info.title)}: REST API</title><style>${STYLE}</style></head>
<body>
<h1>${escape(info.title)}: REST API</h1>
<p>${escape(info.description)} This is version ${escape(info.version)}. The same for programs: <a href="/openapi.json">openapi.json</a>.</p>
<p>Every request has a header <code>Authorization: Bearer KEY</code>. Every error is <code>{"error": "what is wrong", "code": "the same for programs"}</code>.</p>
${body}
</body>
</html>
`;
}

function section(method: string, path: string, operation: Operation): string {
  const { operationId, summary, description, parameters, requestBody, responses } = operation;
  const [good] = Object.values(responses);
  const { 'application/json': whole, 'application/x-ndjson': line } = good?.content ?? {};
  return `<details id="${escape(operationId)}">
<summary><span class="method ${escape(method)}">${escape(method.toUpperCase())}</span><code>${escape(path)}</code><span class="about">${escape(summary)}</span></summary>
${description === undefined ? '' : `<p>${escape(description)}</p>`}
${table('Parameters', parameters.map(parameterRow))}
${requestBody === undefined ? '' : table('Body', fieldRows(requestBody.content['application/json'].schema))}
${whole === undefined ? '' : table('Answer', fieldRows(whole.schema))}
${line === undefined ? '' : table('Each line, where the answer is of lines', fieldRows(line.schema))}
${table('Statuses', Object.entries(responses).map(answerRow), 'answers')}
</details>`;
}

function parameterRow({ name, in: where, schema }: Operation['parameters'][number]): string {
  const { description = `in the ${where}` } = schema as { description?: string };
  return row(`<code>${escape(name)}</code>`, escape(typeOf(schema)), escape(description));
}

function fieldRows(schema: Json): string[] {
  return fieldsOf(schema).map(({ path, type, required, description }) => {
    const mark = required ? ' <span class="required" title="always there">*</span>' : '';
    return row(path === '' ? '' : `<code>${escape(path)}</code>${mark}`, escape(type), escape(description));
  });
}

function answerRow([status, { description }]: [string, { description: string }]): string {
  // One status may have several reasons, each behind its code.
  const text = escape(description).replace(/ ?&#96;(.*?)&#96;/g, '<br><code>$1</code>');
  return row(`<code>${escape(status)}</code>`, text.replace(/^<br>/, ''));
}

function row(...cells: string[]): string {
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
}

/** Nothing where there are no rows. */
function table(title: string, rows: string[], kind = 'fields'): string {
  return rows.length === 0 ? '' : `<h3>${escape(title)}</h3>\n<table class="${kind}">${rows.join('')}</table>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

type Json = Record<string, unknown>;

interface Operation {
  summary: string;
  description?: string;
  tags: string[];
  parameters: { name: string; in: string; schema: Json }[];
  requestBody?: { content: { 'application/json': { schema: Json } } };
  responses: Record<string, { description: string; content: { 'application/json': { schema: Json } } }>;
}

export const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
details { margin: .4rem 0; border: 1px solid #ddd; border-radius: 6px; padding: .4rem .8rem; }
summary { cursor: pointer; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { background: #f6f6f6; padding: .6rem; overflow: auto; border-radius: 4px; }
.method { display: inline-block; width: 4.2rem; font-weight: 600; }
table { border-collapse: collapse; } td { padding: .1rem 1rem .1rem 0; vertical-align: top; }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #161616; } pre { background: #222; } details { border-color: #444; } a { color: #8ab4f8; } }
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
  const body = [...groups].map(([tag, sections]) => `<h2>${escape(tag)}</h2>\n${sections.join('\n')}`).join('\n');
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escape(info.title)}: REST API</title><style>${STYLE}</style></head>
<body>
<h1>${escape(info.title)} ${escape(info.version)}: REST API</h1>
<p>${escape(info.description)} The same for programs: <a href="/openapi.json">openapi.json</a>.</p>
${body}
</body>
</html>
`;
}

function section(method: string, path: string, operation: Operation): string {
  const { summary, description, parameters, requestBody, responses } = operation;
  const rows = parameters.map(
    ({ name, in: where, schema }) =>
      `<tr><td><code>${escape(name)}</code></td><td>${where}</td><td>${escape(typeOf(schema))}</td></tr>`,
  );
  const answers = Object.entries(responses).map(
    ([status, { description: text }]) =>
      `<tr><td><code>${status}</code></td><td>${escape(text.replaceAll('`', ''))}</td></tr>`,
  );
  const [good] = Object.entries(responses);
  return `<details>
<summary><span class="method">${method.toUpperCase()}</span><code>${escape(path)}</code> ${escape(summary)}</summary>
${description === undefined ? '' : `<p>${escape(description)}</p>`}
${rows.length === 0 ? '' : `<table>${rows.join('')}</table>`}
${requestBody === undefined ? '' : `<p>Body:</p>${json(requestBody.content['application/json'].schema)}`}
<p>Answer:</p>${json(good?.[1].content['application/json'].schema ?? {})}
<table>${answers.join('')}</table>
</details>`;
}

function json(schema: Json): string {
  return `<pre>${escape(JSON.stringify(schema, undefined, 2))}</pre>`;
}

function typeOf(schema: Json): string {
  const values = schema['enum'] as unknown[] | undefined;
  return values === undefined ? ((schema['type'] as string | undefined) ?? 'any') : values.map(String).join(' | ');
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

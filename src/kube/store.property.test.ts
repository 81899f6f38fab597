import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compareVersions } from './resource-version.ts';
import { keyOf, Store } from './store.ts';
import { testObject, type TestObject } from './testing/objects.ts';

/** Everything that happened on the server, and what the store has been shown of it. */
class Model {
  readonly store: Store<TestObject>;
  readonly scopes: readonly string[];
  /** What listeners were told, replayed. */
  readonly heard = new Map<string, TestObject>();
  #version = 1;
  #uids = 0;
  readonly #live = new Map<string, TestObject>();
  /** By uid: the version at which it was deleted. */
  readonly #deletedAt = new Map<string, number>();
  readonly #history: { version: number; before?: TestObject; after?: TestObject; key: string; scope: string }[] = [];
  /** By scope: the version of the last event that its watch has delivered. */
  readonly #watched = new Map<string, number>();
  /** By scope: the newest version that a list, event or bookmark has shown. */
  readonly #shown = new Map<string, number>();
  readonly #replies: TestObject[] = [];
  readonly #lists: { scope: string; version: string; items: TestObject[] }[] = [];
  /** The first expectation that failed in the listener. */
  #failure: unknown;
  readonly #newestSeen = new Map<string, string>();

  constructor(scoped: boolean) {
    this.scopes = scoped ? ['n1', 'n2'] : [''];
    this.store = new Store<TestObject>({
      namespaces: scoped ? this.scopes : undefined,
      onListenerError: (error) => (this.#failure ??= error),
      indexes: { spec: ({ spec }) => (spec === undefined ? [] : [spec]) },
    });
    this.store.subscribe(({ type, object, old }) => {
      const key = keyOf(object);
      expect(this.heard.get(key), `${type} ${key}`).toBe(type === 'added' ? undefined : (old ?? object));
      if (type === 'deleted') {
        this.heard.delete(key);
        this.#isReallyGone(object);
      } else this.heard.set(key, object);
      this.#neverGoesBack(object);
    });
    for (const scope of this.scopes) this.relist(scope);
  }

  /** We create, change or delete an object; what we may do, anybody may: our replies need not arrive. */
  write(key: string, kind: 'put' | 'deselect' | 'delete'): void {
    const before = this.#live.get(key);
    if (kind === 'delete' && before === undefined) return;
    const version = ++this.#version;
    const [namespace = '', name = ''] = key.split('/');
    const uid = before?.metadata.uid ?? `uid-${++this.#uids}`;
    const object = testObject(name, version, {
      namespace,
      uid,
      labels: kind === 'deselect' ? {} : { selected: 'yes' },
    });
    object.spec = `v${version % 3}`;
    if (kind === 'delete') {
      this.#live.delete(key);
      this.#deletedAt.set(uid, version);
    } else this.#live.set(key, object);
    const after = kind === 'delete' ? {} : { after: object };
    this.#history.push({ version, key, scope: this.#scopeOf(namespace), ...(before && { before }), ...after });
    if (kind !== 'delete') this.#replies.push(object);
  }

  /** The reply to one of our writes arrives, in any order. */
  reply(pick: number): void {
    const [object] = this.#replies.splice(pick % Math.max(this.#replies.length, 1), 1);
    if (object === undefined) return;
    const { namespace = '', resourceVersion } = object.metadata;
    const complete = this.store.completeUpTo(this.#scopeOf(namespace)) ?? '0';
    this.store.writeThrough(object);
    if (compareVersions(resourceVersion, complete) <= 0) return;
    const stored = this.store.get(keyOf(object));
    expect(stored && compareVersions(stored.metadata.resourceVersion, resourceVersion)).toBeGreaterThanOrEqual(0);
  }

  /** The watch of a scope delivers its next events, as a server with the selector `selected` sends them. */
  deliver(scope: string, count: number): void {
    const from = this.#watched.get(scope) ?? 0;
    const due = this.#history.filter((event) => event.scope === scope && event.version > from).slice(0, count);
    for (const { version, before, after } of due) {
      this.#watched.set(scope, version);
      const was = before !== undefined && isSelected(before);
      const is = after !== undefined && isSelected(after);
      if (was || is) this.#show(scope, version);
      if (is && after !== undefined) this.store.applyWatch(was ? 'MODIFIED' : 'ADDED', after);
      else if (was) this.store.applyWatch('DELETED', withVersion(before, version));
    }
  }

  bookmark(scope: string): void {
    this.deliver(scope, Infinity);
    this.#watched.set(scope, this.#version);
    this.#show(scope, this.#version);
    this.store.advance(String(this.#version), scope);
  }

  /** A list is taken on the server; it may arrive much later. */
  beginList(scope: string): void {
    const items = [...this.#live.values()].filter(
      (object) => isSelected(object) && this.#scopeOf(object.metadata.namespace ?? '') === scope,
    );
    this.#lists.push({ scope, version: String(this.#version), items });
  }

  endList(pick: number): void {
    const [list] = this.#lists.splice(pick % Math.max(this.#lists.length, 1), 1);
    if (list === undefined) return;
    this.#show(list.scope, Number(list.version));
    this.store.replaceAll(list.items, list.version, { scope: list.scope });
  }

  /** The watch broke; the next one begins where the store is. */
  reconnect(scope: string): void {
    this.#watched.set(scope, Number(this.store.completeUpTo(scope)));
  }

  /** The watch expired: list, then watch from there. */
  relist(scope: string): void {
    this.beginList(scope);
    this.endList(this.#lists.length - 1);
    this.reconnect(scope);
  }

  check(): void {
    if (this.#failure !== undefined) throw this.#failure as Error;
    for (const scope of this.scopes) expect(Number(this.store.completeUpTo(scope))).toBe(this.#shown.get(scope));
    expect([...this.heard.keys()].sort()).toEqual([...this.store.keys()].sort());
    for (const object of this.store.values()) {
      const scope = this.#scopeOf(object.metadata.namespace ?? '');
      const deletedAt = this.#deletedAt.get(object.metadata.uid) ?? Infinity;
      expect(deletedAt, `${object.metadata.uid} is back`).toBeGreaterThan(this.#shown.get(scope) ?? 0);
      expect(this.store.byIndex('spec', object.spec ?? '')).toContain(object);
    }
    const indexed = this.store
      .indexValues('spec')
      .reduce((sum, value) => sum + this.store.countByIndex('spec', value), 0);
    expect(indexed).toBe(this.store.size);
  }

  /** All that is under way arrives; then the store must show what the server has. */
  drain(): void {
    while (this.#replies.length > 0) this.reply(0);
    while (this.#lists.length > 0) this.endList(0);
    for (const scope of this.scopes) this.bookmark(scope);
    const expected = [...this.#live.values()].filter(isSelected).map(describe);
    expect(this.store.list().map(describe).sort()).toEqual(expected.sort());
  }

  #show(scope: string, version: number): void {
    this.#shown.set(scope, Math.max(version, this.#shown.get(scope) ?? 0));
  }

  /** On the server this object was deleted, or left the selection, at its version or later. */
  #isReallyGone({ metadata }: TestObject): void {
    const left = this.#history.some(
      ({ version, before, after }) =>
        version >= Number(metadata.resourceVersion) &&
        [before, after].some((object) => object?.metadata.uid === metadata.uid) &&
        (after === undefined || !isSelected(after)),
    );
    expect(left, `${metadata.uid} was removed for no reason`).toBe(true);
  }

  #neverGoesBack({ metadata: { uid, resourceVersion } }: TestObject): void {
    const newest = this.#newestSeen.get(uid) ?? '0';
    expect(compareVersions(resourceVersion, newest), `${uid} goes back in time`).toBeGreaterThanOrEqual(0);
    this.#newestSeen.set(uid, resourceVersion);
  }

  #scopeOf(namespace: string): string {
    return this.scopes.length === 1 ? '' : namespace;
  }
}

function isSelected(object: TestObject): boolean {
  return object.metadata.labels?.['selected'] === 'yes';
}

function withVersion(object: TestObject, version: number): TestObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
}

function describe({ metadata }: TestObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name} ${metadata.uid} ${metadata.resourceVersion}`;
}

it('never goes back in time, never brings back what was deleted, and in the end shows what the server has', () => {
  const perScope = ['bookmark', 'beginList', 'reconnect', 'relist'] as const;
  const key = fc.constantFrom('n1/a', 'n1/b', 'n2/a');
  const kind = fc.constantFrom('put' as const, 'delete' as const, 'deselect' as const);
  const pick = fc.nat(5);
  const scope = fc.nat(1);
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('write'), key, kind }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('reply' as const, 'endList' as const), pick }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('deliver' as const), scope, count: fc.nat(3) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom(...perScope), scope }) },
  );
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { maxLength: 60 }), (scoped, steps) => {
      const model = new Model(scoped);
      for (const step of steps) {
        const at = model.scopes[('scope' in step ? step.scope : 0) % model.scopes.length] ?? '';
        if ('key' in step) model.write(step.key, step.kind);
        else if ('pick' in step) model[step.do](step.pick);
        else if ('count' in step) model.deliver(at, step.count);
        else model[step.do](at);
        model.check();
      }
      model.drain();
      model.check();
    }),
    { numRuns: 1000 },
  );
});

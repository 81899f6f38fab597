import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './run.ts';

/** Whom a certificate names; RBAC takes the organization for a group and the common name for a user. */
export interface Subject {
  name: string;
  commonName: string;
  organization?: string;
  /** For servers, as openssl writes them: `IP:127.0.0.1`, `DNS:localhost`. */
  alternativeNames?: string[];
}

/** Valid so many days: longer than any test cluster lives. */
const days = '365';
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/**
 * Makes a certificate authority (`ca.crt`, `ca.key`), a certificate and key per subject (`NAME.crt`, `NAME.key`), and the key pair
 * that signs service account tokens (`sa.key`, `sa.pub`).
 */
export async function createPki(folder: string, subjects: Subject[]): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): Promise<unknown> => run('openssl', args, { timeoutMs: 30_000 });
  await Promise.all([
    openssl('req', '-x509', ...newKey, '-keyout', at('ca.key'), '-out', at('ca.crt'), '-days', days, '-subj', '/CN=ca'),
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', at('sa.key')).then(() =>
      openssl('ec', '-in', at('sa.key'), '-pubout', '-out', at('sa.pub')),
    ),
  ]);
  await Promise.all(
    subjects.map(async (subject, index) => {
      const request = at(`${subject.name}.csr`);
      const extensions = at(`${subject.name}.ext`);
      const organization = subject.organization === undefined ? '' : `/O=${subject.organization}`;
      const names = subject.alternativeNames ?? [];
      const lines = ['extendedKeyUsage=clientAuth,serverAuth'];
      if (names.length > 0) lines.push(`subjectAltName=${names.join(',')}`);
      await writeFile(extensions, lines.join('\n'));
      const subj = `${organization}/CN=${subject.commonName}`;
      await openssl('req', ...newKey, '-keyout', at(`${subject.name}.key`), '-out', request, '-subj', subj);
      const signer = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-set_serial', String(index + 2), '-days', days];
      const out = ['-out', at(`${subject.name}.crt`), '-extfile', extensions];
      await openssl('x509', '-req', '-in', request, ...signer, ...out);
      await Promise.all([rm(request), rm(extensions)]);
    }),
  );
}

/** Writes a kubeconfig that holds all it needs. It is JSON, which is YAML. */
export async function writeKubeconfig(file: string, server: string, pki: string, subject: string): Promise<void> {
  const base64 = async (name: string): Promise<string> => (await readFile(join(pki, name))).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'bullpen-test', cluster: { server, 'certificate-authority-data': await base64('ca.crt') } }],
    users: [
      {
        name: subject,
        user: {
          'client-certificate-data': await base64(`${subject}.crt`),
          'client-key-data': await base64(`${subject}.key`),
        },
      },
    ],
    contexts: [{ name: 'bullpen-test', context: { cluster: 'bullpen-test', user: subject, namespace: 'default' } }],
    'current-context': 'bullpen-test',
  };
  await writeFile(file, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
}

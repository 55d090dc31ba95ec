import { beforeEach, expect, it } from 'vitest';
import type { Log } from '../../src/base/ports.ts';
import type { ServerRecord } from '../../src/base/model.ts';
import { systemVariables } from '../../src/config-xml/system-variables.ts';
import { fakeDirectory } from '../support/fake-directory.ts';
import type { FakeDirectory } from '../support/fake-directory.ts';

let directory: FakeDirectory;
let servers: ServerRecord[];
let warnings: string[];
const warn = (_fields: object, message: string): void => void warnings.push(message);
const log: Log = { debug: () => {}, info: () => {}, warn, error: warn };

beforeEach(() => {
  directory = fakeDirectory();
  servers = [];
  warnings = [];
});
const open = () => systemVariables({ directory, servers: () => servers, log });

async function set(variables: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(variables)) await directory.writeVariable(name, value);
}
function server(name: string, users: number, port: number, sip: number | null): ServerRecord {
  const address = (at: number) => ({ host: '192.0.2.1', port: at });
  const record = { name, udp: address(port), http: '', sip: sip === null ? null : address(sip), usersMax: 100 };
  return { ...record, state: 'on', users, startedAt: 0, seenAt: 0, version: '' };
}

it('the list is read first, then each of its names one by one, then SYSTEM_EXT', async () => {
  const read: string[] = [];
  const variable = (name: string): Promise<string | null> => {
    read.push(name);
    return Promise.resolve(name === 'SystemVariables' ? ' B;A;;B;C ' : `value of ${name}`);
  };
  const variables = systemVariables({ directory: { variable }, servers: () => [], log });
  await variables.refresh();
  expect(read).toEqual(['SystemVariables', 'B', 'A', 'C', 'SYSTEM_EXT']);
  expect([...variables.current().text.matchAll(/NAME="(\w)"/g)].map((match) => match[1])).toEqual(['B', 'A', 'C']);
});

it('a name that is not set is there with an empty value', async () => {
  await set({ SystemVariables: 'MAIN_URL;BUY_URL', MAIN_URL: 'http://x/?a&b', SYSTEM_EXT: '<x/>' });
  const variables = open();
  await variables.refresh();
  expect(variables.current().text).toBe(
    '  <SYSTEM>\n    <VAR NAME="MAIN_URL" VALUE="http://x/?a&amp;b"/>\n    <VAR NAME="BUY_URL" VALUE=""/>\n' +
      '    <EXT><x/></EXT>\n  </SYSTEM>\n',
  );
});

it('server lists that are not set are made from the running servers, by load in tenths and then by name', async () => {
  await set({ SystemVariables: 'VFON_SERVER;SIP_SERVER' });
  servers = [server('c', 35, 3, 13), server('b', 9, 2, null), server('a', 8, 1, 11), server('d', 31, 4, 14)];
  const variables = open();
  await variables.refresh();
  expect(variables.current().text).toContain(
    'NAME="VFON_SERVER" VALUE="192.0.2.1:1;192.0.2.1:2;192.0.2.1:3;192.0.2.1:4"',
  );
  expect(variables.current().text).toContain('NAME="SIP_SERVER" VALUE="192.0.2.1:11;192.0.2.1:13;192.0.2.1:14"');
});

it('server lists that are set stay as the administrator wrote them', async () => {
  await set({ SystemVariables: 'VFON_SERVER', VFON_SERVER: '198.51.100.1:4321' });
  servers = [server('a', 0, 1, 2)];
  const variables = open();
  await variables.refresh();
  expect(variables.current().text).toContain('VALUE="198.51.100.1:4321"');
});

it('a login or two change nothing: the same image; a step of a tenth does, without a look at the directory', async () => {
  await set({ SystemVariables: 'VFON_SERVER' });
  servers = [server('a', 10, 1, null), server('b', 10, 2, null)];
  const variables = open();
  await variables.refresh();
  const image = variables.current();
  servers = [server('a', 19, 1, null), server('b', 11, 2, null)];
  variables.relist();
  expect(variables.current()).toBe(image);
  const asked = directory.calls.length;
  servers = [server('a', 20, 1, null), server('b', 19, 2, null)];
  variables.relist();
  expect(variables.current().text).toContain('VALUE="192.0.2.1:2;192.0.2.1:1"');
  expect(directory.calls).toHaveLength(asked);
});

it('while the directory is down the last good image stays', async () => {
  await set({ SystemVariables: 'A', A: '1' });
  const variables = open();
  await variables.refresh();
  const image = variables.current();
  directory.down = true;
  await expect(variables.refresh()).rejects.toMatchObject({ code: 'DIRECTORY_UNAVAILABLE' });
  expect(variables.current()).toBe(image);
  directory.down = false;
  await set({ A: '2' });
  await variables.refresh();
  expect(variables.current().text).toContain('VALUE="2"');
});

it('refreshes at the same time share one reading', async () => {
  await set({ SystemVariables: 'A' });
  directory.calls.length = 0;
  const variables = open();
  await Promise.all([variables.refresh(), variables.refresh()]);
  expect(directory.calls).toEqual(['variable', 'variable', 'variable']);
});

it('an extension that is not acceptable is left out, told to the log once, and the rest is served', async () => {
  await set({ SystemVariables: 'A', A: '1', SYSTEM_EXT: '</EXT>' });
  const variables = open();
  await variables.refresh();
  await variables.refresh();
  expect(variables.current().text).toContain('<VAR NAME="A" VALUE="1"/>');
  expect(variables.current().text).toContain('<EXT><!-- ');
  expect(variables.current().rejected).toMatch(/closing tag/);
  expect(warnings).toEqual(['SYSTEM_EXT is not acceptable and was left out']);
});

it('too many names and values too long are left out with a word in the log', async () => {
  const names = Array.from({ length: 300 }, (_, i) => `N${i}`);
  await set({ SystemVariables: names.join(';'), N1: 'x'.repeat(4097) });
  const variables = open();
  await variables.refresh();
  expect(variables.current().text.match(/<VAR /g)).toHaveLength(255);
  expect(warnings).toEqual(['too many names in SystemVariables', 'system variable too long, left out']);
});

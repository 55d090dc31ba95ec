/** Reads the message files of test/conformance, which are in the notation of RFC 4475 section 2. */
import { readFileSync } from 'node:fs';

/** Name of the message → its bytes. */
export function tortureMessages(file: URL): ReadonlyMap<string, Buffer> {
  const sections = readFileSync(file, 'utf8').split(/^##### (\S+) \S+\n/m);
  const messages = new Map<string, Buffer>();
  for (let i = 1; i < sections.length; i += 2) messages.set(sections[i] ?? '', bytesOf(sections[i + 1] ?? ''));
  return messages;
}

function bytesOf(text: string): Buffer {
  const plain = text
    .replace(/<allOneLine>\n([^]*?)\n<\/allOneLine>/g, (_, lines: string) => lines.replaceAll('\n', ''))
    .replace(/<repeat count=(\d+)>(.*?)<\/repeat>/g, (_, count: string, part: string) => part.repeat(Number(count)))
    .replaceAll('\n', '\r\n');
  return Buffer.from(
    plain.replace(/<hex>(.*?)<\/hex>/g, (_, hex: string) => Buffer.from(hex, 'hex').toString('latin1')),
    'latin1',
  );
}

/** The whole directory as LDIF (RFC 2849). */
import type { Directory } from './directory.ts';
import { formatLdif } from './ldif.ts';

const PIECE_CHARACTERS = 64 * 1024;

/**
 * Hands the directory to `write`, piece by piece; the next piece is made when the one before is taken.
 * Secrets are in it. Answers the number of entries.
 */
export async function exportLdif(
  directory: Pick<Directory, 'entries'>,
  write: (text: string) => Promise<void> | void,
): Promise<number> {
  let text = 'version: 1\n\n';
  let entries = 0;
  for await (const record of directory.entries()) {
    text += formatLdif(record);
    entries++;
    if (text.length < PIECE_CHARACTERS) continue;
    await write(text);
    text = '';
  }
  if (text !== '') await write(text);
  return entries;
}

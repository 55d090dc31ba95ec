/** The whole CONFIG document (DIRECTORY.md section 6), from its two parts. */
import { hash } from 'node:crypto';
import type { RenderedPart } from './render.ts';

const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE CONFIG>\n<CONFIG>\n';
const TAIL = '</CONFIG>\n';
const ETAG_CHARACTERS = 27;

export interface ConfigDocument {
  readonly body: Buffer;
  /** Strong and quoted (RFC 9110 section 8.8.3); changes exactly when the body does. */
  readonly etag: string;
}

/** The document of one user: the SYSTEM part shared by all, and his PRIVATE part. */
export function configDocument(system: RenderedPart, personal: RenderedPart): ConfigDocument {
  const body = Buffer.from(HEAD + system.text + personal.text + TAIL);
  return { body, etag: etagOf(body) };
}

/** 160 bits of SHA-256: enough that two documents never share one. */
function etagOf(body: Buffer): string {
  return `"${hash('sha256', body, 'base64url').slice(0, ETAG_CHARACTERS)}"`;
}

/** The reader of the express lane, compiled by scripts/assembly.mjs. */
export { readAnswer } from './answer';
export { writeKept } from './forward';
export { readContact, readDigest } from './params';
export { readRequest } from './request';
export { writeCopied, writeLoop, writeTag, writeVia } from './write';

/** What is looked for. Texts as the number that their bytes are, the first one lowest. */
export const TAB: u8 = 0x09;
export const LF: u8 = 0x0a;
export const CR: u8 = 0x0d;
export const SPACE: u8 = 0x20;
export const QUOTE: u8 = 0x22;
export const COMMA: u8 = 0x2c;
export const HYPHEN: u8 = 0x2d;
export const DOT: u8 = 0x2e;
export const ZERO: u8 = 0x30;
export const COLON: u8 = 0x3a;
export const SEMICOLON: u8 = 0x3b;
export const LESS: u8 = 0x3c;
export const EQUALS: u8 = 0x3d;
export const GREATER: u8 = 0x3e;
export const AT_SIGN: u8 = 0x40;

export const SIP_COLON: u64 = 0x3a706973;

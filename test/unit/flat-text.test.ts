import fc from 'fast-check';
import { expect, test } from 'vitest';
import { flatText } from '../../src/base/flat-text.ts';

test('the text stays what it is, whatever it was put together of', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary-ascii' })), (pieces) => {
      let text = '';
      for (const piece of pieces) text += piece;
      expect(flatText(text)).toBe(pieces.join(''));
    }),
  );
});

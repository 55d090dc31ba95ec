import fc from 'fast-check';
import { expect, test } from 'vitest';
import { leave, OldestFirst } from '../../src/base/oldest-first.ts';
import type { Place } from '../../src/base/oldest-first.ts';

test('whatever comes and goes, the oldest that is still there is told', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), (steps) => {
      const list = new OldestFirst<number>();
      let model: Place<number>[] = [];
      steps.forEach((step, value) => {
        if (step < 5) model.push(list.add(value));
        else {
          const [gone] = model.splice(step % Math.max(model.length, 1), 1);
          // A second time it changes nothing.
          leave(gone);
          leave(gone);
        }
        expect(list.oldest()).toBe(model[0]?.value);
      });
      for (const place of model) leave(place);
      model = [];
      expect(list.oldest()).toBeUndefined();
    }),
  );
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createOldestFirst } from '../../src/base/oldest-first.ts';

test('whatever comes and goes, the oldest that is still there is told', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), (steps) => {
      const list = createOldestFirst<number>();
      let model: { value: number; leave: () => void }[] = [];
      steps.forEach((step, value) => {
        if (step < 5) model.push({ value, leave: list.add(value) });
        else {
          const [gone] = model.splice(step % Math.max(model.length, 1), 1);
          gone?.leave();
          // A second time it changes nothing.
          gone?.leave();
        }
        expect(list.oldest()).toBe(model[0]?.value);
      });
      for (const { leave } of model) leave();
      model = [];
      expect(list.oldest()).toBeUndefined();
    }),
  );
});
